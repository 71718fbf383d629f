#!/usr/bin/env bash
# The path from an answer to its reward, on a CPU: a real 135M model under an untrained head, served over HTTP, asked by
# the client that slime uses. It shows that the path works. What a head worth having takes comes with training.
# Usage: run.sh [OUT]    artefacts go to OUT; a second run keeps the models there.
set -euo pipefail

out=${1:-outputs/quickstart}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error
mkdir -p "$out"

server_pid=
stop_server() {
  if [[ -n $server_pid ]]; then kill "$server_pid" 2>/dev/null || true; wait "$server_pid" 2>/dev/null || true; fi
}
trap stop_server EXIT

echo "== 1/4 what is installed"
coderm doctor

echo "== 2/4 a small real model: SmolLM2-135M-Instruct"
coderm data smollm2 "$out/smollm2" --reward-model "$out/rm-untrained"

echo "== 3/4 serving it on this machine"
: >"$out/server.log" # before the server starts: the last run's address in it must not be taken for this one's
coderm serve --model "$out/rm-untrained" --port 0 >>"$out/server.log" 2>&1 &
server_pid=$!
url=
for _ in $(seq 300); do
  url=$(sed -n 's/^serving .* at \(http:[^ ]*\)$/\1/p' "$out/server.log")
  [[ -n $url ]] && break
  kill -0 "$server_pid" 2>/dev/null || { cat "$out/server.log" >&2; exit 1; }
  sleep 0.2
done
[[ -n $url ]] || { echo "the server did not start within 60 s, see $out/server.log" >&2; exit 1; }
echo "listening at $url"

echo "== 4/4 scoring answers over HTTP"
rm -f "$out/verdicts.jsonl" # scored anew each time: the path is what this shows
coderm score "$here/answers.jsonl" --out "$out/verdicts.jsonl" --url "$url" --model-path "$out/rm-untrained"
echo "The head is untrained, so these scores mean nothing yet: the path is what this run proves. Artefacts: $out"
