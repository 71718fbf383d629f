#!/usr/bin/env bash
# The paper's two stages on 8 GPUs, inside an image that has this package on top of slime's.
# Usage: two_stage_8xa100.sh IMAGE MODEL DATA OUTPUT [OPTION...]    OPTIONs go to `coderm train-rm`, e.g. --dry-run
#   MODEL    folder of Qwen2.5-Coder-7B-Instruct
#   DATA     folder of scalar-train.jsonl, scalar-validation.jsonl, pairs-train.jsonl, pairs-validation.jsonl
#   OUTPUT   folder for checkpoints and models; started again, the run goes on from what is there
# WANDB_API_KEY is handed on if it is set.
set -euo pipefail

if (($# < 4)); then
  sed -n '3,7s/^# //p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
image=$1 model=$(realpath "$2") data=$(realpath "$3")
mkdir -p "$4"
output=$(realpath "$4")
shift 4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Many ranks exchange gradients through shared memory: docker's 64 MB of it are too few.
exec docker run --rm --gpus all --shm-size=16g --ulimit memlock=-1 \
  --env WANDB_API_KEY \
  --volume "$model:/models/Qwen2.5-Coder-7B-Instruct:ro" \
  --volume "$data:/data:ro" \
  --volume "$output:/outputs/coderm-nt" \
  --volume "$here/two_stage_8xa100.yaml:/config.yaml:ro" \
  "$image" coderm train-rm --config /config.yaml --nproc 8 "$@"
