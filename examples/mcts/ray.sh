#!/usr/bin/env bash
# The run on several machines of 8 A100 80 GB each: every machine serves the model at its own address, and engines on all
# of them ask every server. The first machine holds the run folder.
# Usage: MACHINES="10.0.0.1 10.0.0.2" ray.sh [--dry-run] NUMBER   on each machine with its own number: 0, 1, ...
#   RAY_AUTH_TOKEN  a secret of the cluster, the same on all machines: who reaches an open Ray can run programs
#   MACHINES     addresses of all machines, the same everywhere; the servers listen there without a key, so let nobody
#                else reach them
#   RAY_PORT     Ray's port on the first                    (6379)
#   RAY_WORKERS  engines; they share each endpoint's bound  (one a machine)
#   and what run.sh and serve.sh take; HOST is not asked for
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dry=()
if [[ ${1:-} == --dry-run ]]; then dry=(--dry-run); shift; fi
read -r -a machines <<<"${MACHINES:-}"
number=${1:-}
if [[ $# != 1 || ! $number =~ ^[0-9]+$ || $number -ge ${#machines[@]} ]]; then
  echo "usage: MACHINES=\"ADDRESS ADDRESS ...\" ray.sh [--dry-run] NUMBER, from 0 to one less than there are" >&2
  exit 2
fi

cluster=${machines[0]}:${RAY_PORT:-6379}
run=${RUN:-outputs/curate/magicoder}
export HOST=${machines[number]} LOGS=${LOGS:-$run/logs}
export CODERM_SANDBOX__WORKERS=${CODERM_SANDBOX__WORKERS:-32}
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
((${#dry[@]})) || : "${RAY_AUTH_TOKEN:?set it to a secret, the same on all machines}"

if ((number > 0)); then # Ray in the foreground: it ends when the first machine's does
  exec bash "$here/serve.sh" ${dry[@]+"${dry[@]}"} ray start --block --address "$cluster" --node-ip-address "$HOST"
fi

config=$run/curate_cluster.yaml # CONFIG with every machine's servers
ray_head=(ray start --head --block --port "${RAY_PORT:-6379}" --node-ip-address "$HOST" --include-dashboard=false)
work=(coderm curate run "${SOURCE:-hub:ise-uiuc/Magicoder-OSS-Instruct-75K}" --run "$run" --config "$config"
  --limit "${PROBLEMS:-12000}" --ray "$cluster" --ray-workers "${RAY_WORKERS:-${#machines[@]}}")

if ((${#dry[@]})); then
  printf '%q ' "${ray_head[@]}"; echo "&"
  exec bash "$here/serve.sh" --dry-run "${work[@]}"
fi

mkdir -p "$run" "$LOGS"
python3 "$here/cluster_config.py" "${CONFIG:-$here/curate_8xa100.yaml}" "${machines[@]}" >"$config"

ray_pid=
work_pid=
stop() {
  trap - EXIT
  trap '' INT TERM
  for pid in $work_pid $ray_pid; do # the run saves before Ray goes
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}
trap stop EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
setsid "${ray_head[@]}" >"$LOGS/ray-head.log" 2>&1 &
ray_pid=$!

there() { # how many machines the cluster has
  python3 -c '
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(sum(node["Alive"] for node in ray.nodes()))' "$cluster" 2>>"$LOGS/ray-head.log" || echo 0
}
until (($(there) >= ${#machines[@]})); do
  kill -0 "$ray_pid" 2>/dev/null || { echo "Ray ended, see $LOGS/ray-head.log" >&2; exit 1; }
  ((SECONDS < ${START_S:-1800})) || { echo "not all machines came, see $LOGS/ray-head.log" >&2; exit 1; }
  echo "waiting for ${#machines[@]} machines" >&2
  sleep 5
done
setsid bash "$here/serve.sh" "${work[@]}" &
work_pid=$!
code=0
wait "$work_pid" || code=$?
stop
exit "$code"
