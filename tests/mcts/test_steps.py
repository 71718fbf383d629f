"""Prompts and steps: what is asked, what of an answer is taken, what is run."""

import asyncio
from pathlib import Path

import pytest

from coderm_slime.llm import Completion
from coderm_slime.records import Problem
from coderm_slime.sandbox import Sandbox
from helpers.sandboxed import settings as sandbox_settings
from mcts.config import Sampling
from mcts.failures import FailureReason, StepFailed
from mcts.prompts import PromptError, Prompts, fenced
from mcts.steps import Asking, Run, execute, rewrite, target_of
from mcts.steps.calls import calls_in
from mcts.steps.kept import keeps_code
from mcts.steps.tries import program_of

SOLUTION = "def f(a):\n    b = a + 1\n    if b > 2:\n        return b\n    return 0\n"


def answer(text: str, finish_reason: str = "stop") -> Completion:
    return Completion(text, finish_reason, (), 1, 1, "m", "http://m")


class Scripted:
    """A FAKE Ask: gives its answers in order, and remembers the seeds."""

    def __init__(self, *answers: Completion) -> None:
        self.answers, self.seeds = list(answers), []

    async def __call__(self, step, messages, sampling, *, seed, top_logprobs=None) -> Completion:
        self.seeds.append(seed)
        return self.answers.pop(0)


def rewritten_by(ask: Scripted, noted: list) -> str:
    asking = Asking(ask, Prompts.load(), lambda step, rollout, attempt: attempt, lambda step, why: noted.append(why))
    target = target_of(Problem(id="p", problem="Add one.", solution=SOLUTION))
    return asyncio.run(rewrite(asking, Sampling(tries=len(ask.answers)), target)).code


def test_a_file_in_the_users_folder_takes_the_place_of_ours_and_changes_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "calls.user.jinja").write_text("Call {{ entry_point }}.")
    prompts = Prompts.load(tmp_path)
    assert prompts.render("calls.user", entry_point="f") == "Call f."
    assert prompts.fingerprint != Prompts.load().fingerprint
    assert "call" in prompts.render("calls.system")


def test_a_prompt_file_that_no_step_uses_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "call.user.jinja").write_text("x")
    with pytest.raises(PromptError, match=r"call\.user\.jinja"):
        Prompts.load(tmp_path)


def test_a_value_that_a_prompt_wants_and_the_step_does_not_give_is_an_error() -> None:
    with pytest.raises(PromptError, match="max_calls"):
        Prompts.load().render("calls.user", problem="p", solution="s", entry_point="f")


def test_code_with_fences_in_it_cannot_end_its_own_block() -> None:
    assert fenced("'''\n````\n'''", "python").startswith("`````python\n")


@pytest.mark.parametrize(
    ("reason", "response", "prefix", "ends"),
    [
        (FailureReason.NO_CODE, "No code at all.", "", ()),
        (FailureReason.NO_CODE, "```python\ndef f(): pass\n", "", ()),
        (FailureReason.SEVERAL_BLOCKS, "```python\ndef f(): pass\n```\n```python\nf()\n```", "", ()),
        (FailureReason.SYNTAX_ERROR, "```python\ndef f(:\n```", "", ()),
        (FailureReason.NO_ENTRY_POINT, "```python\ndef g(): pass\n```", "", ()),
        (FailureReason.NOT_FROM_PREFIX, "```python\ndef f():\n    y = 2\n```", "def f():\n    x = 1\n", (20,)),
        (
            FailureReason.NOTHING_ADDED,
            "```python\ndef f():\n    x = 1\n    # done\n```",
            "def f():\n    x = 1\n",
            (19,),
        ),
    ],
)
def test_an_answer_that_is_no_program_is_refused_with_its_reason(
    reason: FailureReason, response: str, prefix: str, ends: tuple[int, ...]
) -> None:
    with pytest.raises(StepFailed) as failed:
        program_of(response, "f", prefix, ends)
    assert failed.value.reason is reason


def test_a_block_of_another_language_beside_the_program_does_no_harm() -> None:
    assert program_of("```\nsome output\n```\n```python\ndef f(): pass\n```", "f").code == "def f(): pass\n"


def test_each_try_has_a_seed_of_its_own_and_the_first_usable_answer_is_taken() -> None:
    good = f"Plan.\n```python\n{SOLUTION}```"
    ask, noted = Scripted(answer(good, "length"), answer("nothing"), answer(good)), []
    assert rewritten_by(ask, noted) == SOLUTION
    assert noted == [FailureReason.LENGTH, FailureReason.NO_CODE]
    assert ask.seeds == [0, 1, 2]


def test_when_all_tries_are_used_up_the_last_reason_is_told() -> None:
    changed = SOLUTION.replace("a + 1", "a + 2")
    with pytest.raises(StepFailed, match="changed_code"):
        rewritten_by(Scripted(answer("nothing"), answer(f"```python\n{changed}```")), [])


@pytest.mark.parametrize(
    ("kept", "rewritten"),
    [
        (True, SOLUTION.replace("    if", "    # why\n    big = b > 2\n    print(f'{big=}')\n    if")),
        (True, SOLUTION.replace("    return 0", "    else:\n        print('small')\n    return 0")),
        (False, SOLUTION.replace("b > 2", "b >= 2")),
        (False, SOLUTION.replace("    if", "    b = 0\n    if")),
        (False, SOLUTION.replace("    return 0\n", "")),
        (False, SOLUTION + "f(1)\n"),
    ],
)
def test_a_rewriting_may_add_prints_and_new_names_and_nothing_else(kept: bool, rewritten: str) -> None:
    assert keeps_code(SOLUTION, rewritten) is kept


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("```python\nassert f(1, 2) == 3\nf(0) == 0\n```", ["f(1, 2)", "f(0)"]),
        ("```python\nx = [1]\nf(x)\nprint(f([]))\n```", ["x = [1]", "f(x)", "print(f([]))"]),
        ("1. `f(1)`\n2. f('a') -> 'b'\n3. g(4)\n", ["f(1)", "f('a')"]),
        ("```python\ndef f(a):\n    '''\n    >>> f(7)\n    '''\n```", ["f(7)"]),
        ("```python\nf(unknown)\nf(open('x'))\nf(input())\n```", []),
        ("I would call it with 1 and 2.", []),
        ("```python\n" + "\n".join(f"f({n})" for n in range(9)) + "\n```", [f"f({n})" for n in range(5)]),
        ("```python\ns = f()\ns.push(1)\ns.pop()\n```", ["s = f()", "s.push(1)", "s.pop()"]),
    ],
)
def test_calls_are_those_that_stand_in_the_answer_and_can_run(text: str, calls: list[str]) -> None:
    assert calls_in(text, "f", [], 5) == calls


@pytest.mark.parametrize(
    ("solution", "named", "found"),
    [
        ("def helper(): pass\n\ndef main():\n    helper()\n", None, "main"),
        ("def main():\n    helper()\n\ndef helper(): pass\n", None, "main"),
        ("async def a(): pass\n", None, "a"),
        ("class A:\n    def f(self): pass\n", "A", "A"),
    ],
)
def test_the_entry_point_is_the_named_one_or_what_no_other_definition_uses(solution, named, found) -> None:
    assert target_of(Problem(id="p", problem="x", solution=solution, entry_point=named)).entry_point == found


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ({"solution": None}, FailureReason.NO_SOLUTION),
        ({"solution": "def f(:"}, FailureReason.SYNTAX_ERROR),
        ({"solution": "print(1)"}, FailureReason.NO_ENTRY_POINT),
        ({"solution": "def f(): pass", "entry_point": "g"}, FailureReason.NO_ENTRY_POINT),
    ],
)
def test_a_problem_that_no_tree_can_be_made_of_says_why(problem: dict, reason: FailureReason) -> None:
    with pytest.raises(StepFailed) as failed:
        target_of(Problem(id="p", problem="x", **problem))
    assert failed.value.reason is reason


def run_of(code: str, calls: str, output_chars: int = 5000, wall_s: float = 10.0) -> Run:
    async def one() -> Run:
        async with Sandbox(sandbox_settings()) as sandbox:
            return await execute(sandbox, code, calls, wall_s=wall_s, output_chars=output_chars)

    return asyncio.run(one())


def test_a_call_that_raises_or_exits_does_not_hide_the_output_of_later_ones() -> None:
    run = run_of("def f(a):\n    print('got', a)\n    return 1 // a\n", "f(0)\nimport sys\nsys.exit(1)\nf(1)")
    assert run.output.split("\n")[:3] == [">>> f(0)", "got 0", "ZeroDivisionError: integer division or modulo by zero"]
    assert run.output.endswith(">>> f(1)\ngot 1\n1\n")
    assert run.ending == "ok"


def test_a_program_that_does_not_end_is_ended_and_what_it_printed_is_kept() -> None:
    run = run_of("def f(a):\n    while a: pass\n", "f(0)\nf(1)", wall_s=1.0)
    assert run.output.startswith(">>> f(0)\n>>> f(1)\n")
    assert "ended: timeout" in run.output


def test_of_a_long_output_the_first_and_the_last_half_are_kept() -> None:
    run = run_of("def f():\n    print('a' * 900 + 'é' * 900)\n", "f()", output_chars=200)
    assert run.output.startswith(">>> f()\naaa")
    assert run.output.endswith("é\n")
    assert run.output.count("a") < 200 and run.output.count("é") == 99


@pytest.mark.parametrize("calls", ["", "\n \n"])
def test_nothing_is_ever_run_without_calls(calls: str) -> None:
    with pytest.raises(StepFailed, match="no_calls"):
        run_of("print('never')", calls)
