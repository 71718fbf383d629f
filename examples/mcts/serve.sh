#!/usr/bin/env bash
# Starts SGLang servers on this machine, runs COMMAND once all of them answer, and stops them when it ends.
# Usage: serve.sh [--dry-run] COMMAND...
#   MODEL             folder of the weights                       (/models/Qwen2.5-Coder-32B-Instruct)
#   MODEL_NAME        the name in the curation file               (Qwen2.5-Coder-32B-Instruct)
#   SERVERS, TP_SIZE  servers, and GPUs of each                   (4, 2: 8 GPUs)
#   HOST, FIRST_PORT  addresses: FIRST_PORT, FIRST_PORT + 1, ...  (127.0.0.1, 30000)
#   MEM_FRACTION      of a GPU's memory for weights and cache     (0.88)
#   CONTEXT, RUNNING  longest request in tokens, requests at once (8192, 96)
#   START_S, LOGS     seconds to wait for the servers, their logs (1800, outputs/curate/logs)
#   SERVER_ARGS       further arguments of each server, split at blanks
set -euo pipefail

model=${MODEL:-/models/Qwen2.5-Coder-32B-Instruct}
name=${MODEL_NAME:-Qwen2.5-Coder-32B-Instruct}
servers=${SERVERS:-4}
tp=${TP_SIZE:-2}
host=${HOST:-127.0.0.1}
first_port=${FIRST_PORT:-30000}
logs=${LOGS:-outputs/curate/logs}
start_s=${START_S:-1800}
read -r -a more <<<"${SERVER_ARGS:-}"

dry=
if [[ ${1:-} == --dry-run ]]; then dry=1; shift; fi
(($# > 0)) || { echo "usage: serve.sh [--dry-run] COMMAND..." >&2; exit 2; }
[[ -n $dry || -d $model ]] || { echo "MODEL=$model is no folder: weights are not downloaded here" >&2; exit 1; }

server_command() { # of server $1
  command=(python3 -m sglang.launch_server --model-path "$model" --served-model-name "$name" --host "$host"
    --port "$((first_port + $1))" --tp-size "$tp" --base-gpu-id "$(($1 * tp))"
    --mem-fraction-static "${MEM_FRACTION:-0.88}" --context-length "${CONTEXT:-8192}"
    --max-running-requests "${RUNNING:-96}" ${more[@]+"${more[@]}"})
}

if [[ -n $dry ]]; then
  for ((number = 0; number < servers; number++)); do
    server_command "$number"
    printf '%q ' "${command[@]}"; echo "&"
  done
  printf '%q ' "$@"; echo
  exit
fi

pids=()
stop() { # each server with its own processes: it leads a group
  trap - EXIT
  trap '' INT TERM
  for pid in ${pids[@]+"${pids[@]}"}; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for pid in ${pids[@]+"${pids[@]}"}; do wait "$pid" 2>/dev/null || true; done
}
trap stop EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# setsid: Ctrl-C at a terminal goes to this script alone, which lets COMMAND end before it stops the servers.
mkdir -p "$logs"
for ((number = 0; number < servers; number++)); do
  server_command "$number"
  setsid "${command[@]}" >"$logs/server-$((first_port + number)).log" 2>&1 &
  pids+=("$!")
done

healthy() { # the server at port $1; without curl, which not every image has
  local status
  exec 3<>"/dev/tcp/$host/$1" && printf 'GET /health HTTP/1.0\r\n\r\n' >&3 && read -r -t 5 status <&3 &&
    [[ $status == *" 200 "* ]]
}

for ((number = 0; number < servers; number++)); do
  url=http://$host:$((first_port + number))
  until (healthy "$((first_port + number))") 2>/dev/null; do
    kill -0 "${pids[number]}" 2>/dev/null || { echo "the server at $url ended, see $logs" >&2; exit 1; }
    ((SECONDS < start_s)) || { echo "no answer from $url within $start_s s, see $logs" >&2; exit 1; }
    sleep 1
  done
  echo "serving at $url" >&2
done

work=
trap '[[ -z $work ]] || kill -TERM "$work" 2>/dev/null || true' INT TERM # it saves what is under way
setsid "$@" &
work=$!
code=0
wait "$work" || code=$?
while kill -0 "$work" 2>/dev/null; do # a signal ended the wait, not the work
  code=0
  wait "$work" || code=$?
done
stop
exit "$code"
