#!/usr/bin/env bash
# run.sh, or ray.sh, inside a container of an image that has SGLang and this package with its extra mcts.
# Usage: docker.sh [--dry-run] [run.sh | ray.sh NUMBER]
#   IMAGE    the image                                      (coderm-slime)
#   MODELS   folder here that holds the weights, read only  (/models)
#   OUTPUTS  folder here for the run                        (outputs/curate)
#   DATA     folder here with problems, seen as /data       (none)
#   and what the script takes, with paths as the container sees them: MODEL in /models, RUN in /outputs, SOURCE in /data
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
outputs=${OUTPUTS:-outputs/curate}
dry=
if [[ ${1:-} == --dry-run ]]; then dry=1; shift; fi
script=${1:-run.sh}
[[ $# == 0 ]] || shift
[[ $script == run.sh || $script == ray.sh ]] || { echo "no script of this recipe: $script" >&2; exit 2; }

[[ -n $dry ]] || mkdir -p "$outputs"
[[ $outputs == /* ]] || outputs=$PWD/$outputs
command=(docker run --rm --gpus all --shm-size=16g --init
  --volume "$here:/recipe:ro" --volume "${MODELS:-/models}:/models:ro" --volume "$outputs:/outputs")
[[ -z ${DATA:-} ]] || command+=(--volume "$DATA:/data:ro")
[[ $script != ray.sh ]] || command+=(--network host) # Ray's nodes reach each other at many ports
command+=(--env "RUN=${RUN:-/outputs/magicoder}")
# By name alone: docker reads the values, a secret among them, from this environment.
for variable in SOURCE PROBLEMS CONFIG MODEL MODEL_NAME SERVERS TP_SIZE FIRST_PORT MEM_FRACTION CONTEXT RUNNING START_S \
  LOGS SERVER_ARGS MACHINES RAY_PORT RAY_WORKERS RAY_AUTH_TOKEN CODERM_SANDBOX__WORKERS HF_TOKEN; do
  [[ -z ${!variable:-} ]] || command+=(--env "$variable")
done
command+=("${IMAGE:-coderm-slime}" bash "/recipe/$script" "$@")

if [[ -n $dry ]]; then
  printf '%q ' "${command[@]}"; echo
  exit
fi
exec "${command[@]}"
