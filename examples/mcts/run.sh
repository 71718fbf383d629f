#!/usr/bin/env bash
# The whole run on one machine of 8 A100 80 GB: serves the model, makes the trees, exports the data. The same command
# again goes on where it was. Inside a container: docker.sh; on several machines: ray.sh.
# Usage: run.sh [--dry-run]   --dry-run prints the final commands and runs nothing.
#   SOURCE    problems: a file, a folder, hub:ORG/NAME  (hub:ise-uiuc/Magicoder-OSS-Instruct-75K)
#   PROBLEMS  how many, the first ones                  (12000)
#   RUN       the run folder                            (outputs/curate/magicoder)
#   CONFIG    the curation file                         (curate_8xa100.yaml beside this script)
#   CODERM_SANDBOX__WORKERS  programs run at once       (32)
#   what serve.sh takes; of the environment alone: HF_TOKEN for the hub, keys of other endpoints
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export CODERM_SANDBOX__WORKERS=${CODERM_SANDBOX__WORKERS:-32}
run=${RUN:-outputs/curate/magicoder}
export LOGS=${LOGS:-$run/logs}

exec bash "$here/serve.sh" "$@" coderm curate run "${SOURCE:-hub:ise-uiuc/Magicoder-OSS-Instruct-75K}" --run "$run" \
  --config "${CONFIG:-$here/curate_8xa100.yaml}" --limit "${PROBLEMS:-12000}"
