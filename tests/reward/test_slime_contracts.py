"""slime's own plugin contract tests, run by slime's own files against our dotted paths, in a process of their own.

They need a checkout of slime, which the variable SLIME_DIR names, and what its rollout imports on a CPU: torch, httpx,
pillow, sympy, pylatexenc, tqdm. Not covered, since we have no such hook yet: data source, buffer and dynamic filter,
sample filter, rollout, evaluation and logging functions. For these slime's files test their own references.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import tiny
from helpers.processes import fault_server
from helpers.scores import requests_seen

ROOT = Path(__file__).resolve().parents[2]
SLIME = Path(os.environ.get("SLIME_DIR", "no-slime"))
PATHS, HOOKS = "test_plugin_path_loading_contracts.py", "test_plugin_runtime_hook_contracts.py"
# slime's tests put a stand-in in the place of transformers where it is not imported; ours renders with the real one.
RUN = "import runpy, sys, transformers; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif("SLIME_DIR" not in os.environ, reason="SLIME_DIR names no checkout of slime"),
]


def run_contracts(file: str, *options: str, **settings: object) -> str:
    """The output of slime's contract file `file`, which must pass whole, without a test left out."""
    command = [sys.executable, "-c", RUN, f"tests/plugin_contracts/{file}", *options, "-p", "no:cacheprovider", "-v"]
    path = os.pathsep.join([str(ROOT), str(SLIME), str(SLIME / "tests")])
    environment = {**os.environ, "PYTHONPATH": path} | {
        f"CODERM_RM__{key.upper()}": str(settings[key]) for key in settings
    }
    done = subprocess.run(command, cwd=SLIME, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"=+ \d+ passed(, \d+ warnings?)? in", done.stdout), done.stdout
    return done.stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--custom-rm-path", "reward.coderm_nt.reward"],
        ["--group-rm", "--custom-rm-path", "reward.coderm_nt.reward_group"],
    ],
    ids=["sample", "group"],
)
def test_the_reward_keeps_slimes_contract_and_asks_the_reward_model(options: list[str], tmp_path: Path) -> None:
    model, policy = tmp_path / "model", tmp_path / "policy"
    tiny.tokenizer().save_pretrained(model)
    tiny.tokenizer(None).save_pretrained(policy)  # the contract's prompts are bare text, as for a base model
    with fault_server("ok") as url:
        # `paper`: the contract's responses hold no code, and shall be scored all the same
        output = run_contracts(PATHS, *options, urls=url, model_path=model, policy_path=policy, preset="paper")
        assert "test_custom_rm_path_aligns_with_expected_format PASSED" in output
        assert requests_seen(url) >= 2  # the known inputs, and the contract's own


def test_the_post_process_keeps_slimes_contract() -> None:
    output = run_contracts(HOOKS, "--custom-reward-post-process-path", "reward.post_process.normalize_groups")
    assert "test_runtime_hook_path_aligns_with_expected_format[custom_reward_post_process] PASSED" in output
