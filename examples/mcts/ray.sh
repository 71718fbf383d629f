#!/usr/bin/env bash
# The run on several machines of 8 A100 80 GB each: every machine serves the model at its own loopback addresses, and one
# engine a machine asks those. The head holds the run folder.
# Usage: ray.sh [--dry-run] head      on the first machine
#        ray.sh [--dry-run] worker    on each other one, with HEAD=ADDRESS of the first
#   HEAD, RAY_PORT  address of the head, Ray's port there  (HEAD has no default on a worker; 6379)
#   NODES           machines, the head among them          (2)
#   RAY_WORKERS     engines                                (NODES)
#   and what run.sh and serve.sh take
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dry=()
if [[ ${1:-} == --dry-run ]]; then dry=(--dry-run); shift; fi
role=${1:-}
[[ $# == 1 && ($role == head || $role == worker) ]] || { echo "usage: ray.sh [--dry-run] head|worker" >&2; exit 2; }

port=${RAY_PORT:-6379}
nodes=${NODES:-2}
run=${RUN:-outputs/curate/magicoder}
export LOGS=${LOGS:-$run/logs}
export CODERM_SANDBOX__WORKERS=${CODERM_SANDBOX__WORKERS:-32}

if [[ $role == worker ]]; then
  # Ray in the foreground: it is this script's own process, and ends when the head's does.
  exec bash "$here/serve.sh" ${dry[@]+"${dry[@]}"} \
    ray start --block --address "${HEAD:?set HEAD to the address of the first machine}:$port"
fi

ray_head=(ray start --head --block --port "$port" --include-dashboard=false)
work=(coderm curate run "${SOURCE:-hub:ise-uiuc/Magicoder-OSS-Instruct-75K}" --run "$run"
  --config "${CONFIG:-$here/curate_8xa100.yaml}" --limit "${PROBLEMS:-12000}"
  --ray "127.0.0.1:$port" --ray-workers "${RAY_WORKERS:-$nodes}")

if ((${#dry[@]})); then
  printf '%q ' "${ray_head[@]}"; echo "&"
  exec bash "$here/serve.sh" --dry-run "${work[@]}"
fi

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
mkdir -p "$LOGS"
setsid "${ray_head[@]}" >"$LOGS/ray-head.log" 2>&1 &
ray_pid=$!

there() { # how many machines the cluster has
  python3 -c '
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(sum(node["Alive"] for node in ray.nodes()))' "127.0.0.1:$port" 2>/dev/null || echo 0
}
until (($(there) >= nodes)); do
  kill -0 "$ray_pid" 2>/dev/null || { echo "Ray ended, see $LOGS/ray-head.log" >&2; exit 1; }
  echo "waiting for $nodes machines" >&2
  sleep 5
done
setsid bash "$here/serve.sh" "${work[@]}" &
work_pid=$!
wait "$work_pid"
