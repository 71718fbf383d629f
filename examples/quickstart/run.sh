#!/usr/bin/env bash
# From a language model to a served reward model and its accuracy, on a CPU: a real 135M model, a score head fitted on
# starter problems, served over HTTP, judged on HumanEval by the client that slime uses.
# Usage: run.sh [OUT]    artefacts go to OUT; a second run goes on from what is there.
# QUICKSTART_PAIRS=100   HumanEval pairs to score: about two seconds each.
set -euo pipefail

out=${1:-outputs/quickstart}
pairs=${QUICKSTART_PAIRS:-100}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error
export CODERM_RM__ATTEMPT_S=300 CODERM_RM__DEADLINE_S=900 # the defaults are a GPU's; a busy laptop may take minutes
mkdir -p "$out"
began=$SECONDS

step() { echo "== $((SECONDS - began)) s: $*"; }

server_pid=
stop_server() {
  if [[ -n $server_pid ]]; then kill "$server_pid" 2>/dev/null || true; wait "$server_pid" 2>/dev/null || true; fi
  server_pid=
}
trap stop_server EXIT

step "1/6 what is installed"
coderm doctor

step "2/6 a small real model: SmolLM2-135M-Instruct"
coderm data smollm2 "$out/smollm2" --reward-model "$out/rm-untrained"

step "3/6 a reward head, fitted on pairs of 24 starter problems; the backbone stays as it is"
coderm data pairs starter "$out/starter.jsonl"
coderm data pairs human-eval "$out/human-eval.jsonl"
if [[ ! -d $out/rm-fitted ]]; then
  rm -rf "$out/rm-served" "$out/verdicts.jsonl" "$out/human-eval-verdicts.jsonl" # another head's
  coderm fit-head "$out/rm-untrained" "$out/starter.jsonl" "$out/rm-fitted"
fi

step "4/6 made ready and served on this machine"
[[ -d $out/rm-served ]] || coderm prepare "$out/rm-fitted" "$out/rm-served"
: >"$out/server.log" # before the server starts: the last run's address in it must not be taken for this one's
coderm serve --model "$out/rm-served" --port 0 >>"$out/server.log" 2>&1 &
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

step "5/6 a few answers, right and wrong, over HTTP"
coderm score "$here/answers.jsonl" --out "$out/verdicts.jsonl" --url "$url" --model-path "$out/rm-served"

step "6/6 $pairs HumanEval pairs: the model beside rules that do not know the task"
coderm eval pairs "$url" "$out/human-eval.jsonl" --model-path "$out/rm-served" --sample "$pairs" \
  --likelihood "$out/smollm2" --scores "$out/human-eval-verdicts.jsonl" --report "$out/report.html"
stop_server

cat <<END
== $((SECONDS - began)) s: done. The report: $out/report.html
What it means: a 135M model whose frozen backbone got a new head from 120 pairs. It shows that the path works, from weights
to reward; a reward worth training with takes CodeRM-NT's own weights or its training. The wrong programs are made from the
right ones by rules, so a language model that never saw the task (the likelihood) finds most of them odd: that is the
floor that a reward model has to beat; compare the two in the table.
END
