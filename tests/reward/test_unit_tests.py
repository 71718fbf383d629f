"""The reward by unit tests, called as slime and TRL call it; every program here really runs in the sandbox."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from coderm_slime.sandbox import SandboxError
from coderm_slime.settings import SettingsError
from helpers import tiny
from helpers.processes import fault_server
from reward import hybrid, trl, unit_tests
from reward.failures import POST_PROCESS
from reward.unit_tests import RewardUnavailable, reward, reward_group

RIGHT = "def add(a, b):\n    return a + b"
HALF = "def add(a, b):\n    return a * b"
ASSERTS = ["assert add(2, 2) == 4", "assert add(1, 2) == 3"]
PYTEST = "from solution import add\n" + "".join(f"\ndef test_{n}():\n    {line}\n" for n, line in enumerate(ASSERTS))
CALLS = {
    "kind": "calls",
    "entry_point": "add",
    "cases": [{"input": "[2, 2]", "output": "4"}, {"input": "[1, 2]", "output": "3"}],
}
STDIO = {"kind": "stdio", "cases": [{"input": "1 2", "output": "3"}, {"input": "2 2", "output": "4"}]}


def fenced(program: str) -> str:
    return f"So:\n```python\n{program}\n```\n"


def sample(response: str, label: Any = ASSERTS, **metadata: Any) -> SimpleNamespace:
    return SimpleNamespace(
        prompt="Add.", response=response, label=label, metadata=metadata, status="completed", remove_sample=False
    )


def args(**sections: Any) -> SimpleNamespace:
    return SimpleNamespace(coderm=sections, custom_reward_post_process_path=POST_PROCESS)


def judged(one: SimpleNamespace, **sections: Any) -> tuple[float, str]:
    value = asyncio.run(reward(args(**sections), one))
    return value, one.metadata["coderm"]["reason"]


@pytest.mark.parametrize(
    "tests",
    [
        {"label": ASSERTS},
        {"label": "\n".join(ASSERTS)},
        {"label": json.dumps(ASSERTS)},
        {"label": PYTEST},
        {"label": None, "test_list": ASSERTS},
        {"label": None, "suite": CALLS},
    ],
    ids=["asserts", "code", "json", "pytest", "metadata", "calls"],
)
def test_the_part_of_tests_passed_is_the_reward(tests: dict) -> None:
    assert judged(sample(fenced(RIGHT), **tests)) == (4.0, "scored")
    half = sample(fenced(HALF), **tests)
    assert judged(half) == (0.0, "scored")
    assert (half.metadata["coderm"]["passed"], half.metadata["coderm"]["tests"]) == (1, 2)


def test_a_program_is_judged_by_what_it_writes() -> None:
    right = "a, b = map(int, input().split())\nprint(a + b)"
    assert judged(sample(fenced(right), None, suite=STDIO)) == (4.0, "scored")
    assert judged(sample(fenced(right.replace("+", "*")), None, suite=STDIO)) == (0.0, "scored")


def test_a_program_that_hangs_on_every_input_does_not_hold_the_sandbox_for_each() -> None:
    many = {"kind": "stdio", "cases": [{"input": "1", "output": "1"}] * 40}
    began = time.monotonic()
    value, reason = judged(sample(fenced("while True: pass"), None, suite=many), tests={"suite_s": 1})
    assert (value, reason) == (-4.0, "scored")
    assert time.monotonic() - began < 15


def test_all_or_nothing_is_a_setting() -> None:
    assert judged(sample(fenced(HALF)), tests={"rule": "all"}) == (-4.0, "scored")
    assert judged(sample(fenced(RIGHT)), tests={"rule": "all"}) == (4.0, "scored")


def test_the_scale_is_the_reward_models() -> None:
    assert judged(sample(fenced(RIGHT)), rm={"clip": 2}) == (2.0, "scored")
    value, _ = judged(sample(fenced(HALF)), rm={"shaping": "sigmoid"})
    assert value == 0.5


def test_the_last_block_after_the_last_thought_counts() -> None:
    draft = f"<think>First {fenced(HALF)}</think>"
    assert judged(sample(draft + fenced(HALF) + fenced(RIGHT))) == (4.0, "scored")
    assert judged(sample(draft.replace("</think>", "") + fenced(RIGHT))) == (-4.0, "unclosed_thought")


@pytest.mark.parametrize(
    ("response", "reason"),
    [("no code", "no_code"), (fenced("def add(:"), "syntax_error"), ("", "empty_answer")],
)
def test_what_is_no_program_is_the_floor(response: str, reason: str) -> None:
    assert judged(sample(response)) == (-4.0, reason)


@pytest.mark.parametrize(
    ("label", "reason"),
    [(None, "no_tests"), ("x = 1", "no_tests"), ("assert add(1, 1 == 2", "no_tests"), (7, "no_tests")],
)
def test_without_tests_the_sample_abstains(label: object, reason: str) -> None:
    one = sample(fenced(RIGHT), label)
    assert judged(one, tests={"max_failure_rate": 1}) == (0.0, reason)
    assert one.remove_sample
    assert one.metadata["coderm"]["score"] is None


def test_an_abstention_without_the_post_process_stops_the_run() -> None:
    with pytest.raises(RewardUnavailable, match="no_tests"):
        asyncio.run(reward(SimpleNamespace(), sample(fenced(RIGHT), None)))


def test_a_program_that_hangs_or_exits_early_fails_and_the_others_do_not_wait() -> None:
    programs = [RIGHT, "while True: pass", "import sys\nsys.exit(0)", "import os\nos._exit(0)", RIGHT]
    group = [sample(fenced(program)) for program in programs]
    values = asyncio.run(reward_group(args(tests={"suite_s": 2}), group))
    assert values == [4.0, -4.0, -4.0, -4.0, 4.0]


def test_a_sandbox_that_lacks_a_layer_is_an_error_and_no_low_reward() -> None:
    with pytest.raises(SandboxError):
        asyncio.run(reward(args(sandbox={"python": "/no/such/python"}), sample(fenced(RIGHT))))


def test_a_backend_that_cannot_run_tests_is_refused() -> None:
    with pytest.raises(SettingsError, match="needs 'local'"):
        asyncio.run(reward(args(sandbox={"backend": "docker"}), sample(fenced(RIGHT))))


def test_trl_reads_the_tests_from_its_columns_and_takes_none_for_an_abstention(monkeypatch) -> None:
    monkeypatch.setenv("CODERM_TESTS__MAX_FAILURE_RATE", "1")
    logged: dict[str, list[str]] = {}
    values = asyncio.run(
        trl.unit_tests(
            prompts=["Add."] * 3,
            completions=[fenced(RIGHT), [{"role": "assistant", "content": fenced(HALF)}], fenced(RIGHT)],
            test_list=[ASSERTS, ASSERTS, None],
            log_extra=logged.__setitem__,
            trainer_state=object(),
        )
    )
    assert values == [4.0, 0.0, None]
    assert logged == {"coderm_reason": ["scored", "scored", "no_tests"]}


def test_the_hybrid_asks_the_model_only_where_there_are_no_tests(tmp_path) -> None:
    tiny.tokenizer().save_pretrained(tmp_path)
    group = [sample(fenced(HALF)), sample(fenced(RIGHT), None)]
    for one in group:
        one.prompt = [{"role": "user", "content": "Add."}]
    with fault_server("ok") as url:
        rm = {"urls": [url], "model_path": str(tmp_path)}
        values = asyncio.run(hybrid.reward_group(args(rm=rm), group))
    by_tests, by_model = (one.metadata["coderm"] for one in group)
    assert (values[0], by_tests["reason"], list(by_tests["metadata"]["parts"])) == (0.0, "scored", ["tests"])
    assert (values[1], list(by_model["metadata"]["parts"])) == (by_model["tokens"] / 100, ["rm", "tests"])


def test_public_paths_are_coroutines_with_slimes_names() -> None:
    import inspect

    for module in (unit_tests, hybrid):
        assert list(inspect.signature(module.reward).parameters) == ["args", "sample"]
        assert inspect.iscoroutinefunction(module.reward)
        assert inspect.iscoroutinefunction(module.reward_group)
