"""Calibration: figures with known answers; right and broken programs through sandbox and a FAKE judge; resume."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coderm_slime.cli import build
from coderm_slime.http import HttpError
from coderm_slime.llm import Completion, Message
from coderm_slime.metrics import auc_interval
from coderm_slime.problems import starter_problems
from coderm_slime.records import Problem
from coderm_slime.sandbox import Sandbox
from mcts.asking import Step
from mcts.calibrate import Calibration, Calibrator, JudgedProblem, JudgedProgram, calibration_of, draw
from mcts.calibrate.judging import Calls
from mcts.config import Sampling, checked_config
from mcts.prompts import Prompts
from tests.helpers.sandboxed import settings

PROBLEMS = starter_problems()[:2]
CONFIG = checked_config({"endpoints": [{"url": "http://127.0.0.1:1", "model": "fake"}]})


class FakeModel:
    """A FAKE model: calls the entry point in the question, and grades 4 what it was told is right, 1 what is not."""

    def __init__(self, broken_at: int | None = None) -> None:
        self.asked, self.broken_at = 0, broken_at

    async def __call__(
        self,
        step: Step,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        seed: int,
        top_logprobs: int | None = None,
    ) -> Completion:
        self.asked += 1
        if self.broken_at is not None and self.asked >= self.broken_at:
            raise HttpError("unreachable", "http://fake", "gone")
        shown = messages[-1]["content"]
        if step is Step.CALLS:
            problem = next(problem for problem in PROBLEMS if problem.problem in shown)
            text = f"```python\n{problem.entry_point}(1)\n```"
        else:
            mark = shown.rsplit("Grade ", 1)[1].split(":")[0]
            right = any(problem.solution.strip() in shown for problem in PROBLEMS)
            text = f"Words.\nGrade {mark}: {4 if right else 1}"
        return Completion(text, "stop", (), 1, 1, "fake", "http://fake")


def rows_of(model: FakeModel, problems: Sequence[Problem] = PROBLEMS, calls: Calls = "model") -> list[JudgedProblem]:
    rows: list[JudgedProblem] = []

    async def collect() -> None:
        async with Sandbox(settings(workers=2)) as sandbox:
            calibrator = Calibrator(CONFIG, Prompts.load(None), model, sandbox, mutants=2, seed=0, calls=calls)
            async for row in calibrator.rows_of(problems, in_flight=1):
                rows.append(row)

    try:
        asyncio.run(collect())
    except HttpError:
        rows.append(JudgedProblem(id="outage", key="", made_by=""))
    return rows


def program(right: bool, grade: float | None, failure: str = "") -> JudgedProgram:
    return JudgedProgram(program="p", right=right, kind="k", output="", ending="ok", grade=grade, failure=failure)


def row(key: str, *programs: JudgedProgram, failure: str = "") -> JudgedProblem:
    return JudgedProblem(id=key, key=key, made_by="m", programs=programs, failure=failure)


def test_right_programs_and_verified_mutants_are_run_on_the_models_calls_and_judged() -> None:
    rows = rows_of(FakeModel())
    assert [row.failure for row in rows] == ["", ""]
    assert all(program.output.startswith(">>> ") for row in rows for program in row.programs)
    found = calibration_of(rows)
    assert (found.problems, found.right) == (2, 2) and found.wrong >= 2
    assert found.auc == found.within_problem == 1.0
    assert {one.grade: (one.right > 0, one.wrong > 0) for one in found.bins} == {1: (False, True), 4: (True, False)}


def test_calls_can_be_the_examples_in_the_statement_and_then_no_model_is_asked_for_any() -> None:
    first = PROBLEMS[0]
    shown = first.model_copy(update={"problem": f"{first.problem}\n    >>> {first.entry_point}(1)\n    1\n"})
    assert rows_of(FakeModel(), [shown], "statement")[0].calls == f"{first.entry_point}(1)"
    model = FakeModel()
    bare = first.model_copy(update={"problem": "Write the function."})
    assert (rows_of(model, [bare], "statement")[0].failure, model.asked) == ("no_calls", 0)


def test_an_outage_ends_the_work_and_keeps_the_rows_before_it() -> None:
    whole = rows_of(FakeModel())
    asked = 1 + len(whole[0].programs)  # its calls and its programs' grades
    rows = rows_of(FakeModel(broken_at=asked + 1))
    assert [row.id for row in rows] == [whole[0].id, "outage"]
    assert rows[0] == whole[0]


def test_figures_of_known_grades() -> None:
    found = calibration_of(
        [
            row("a", program(True, 4), program(False, 1), program(False, 4)),
            row("b", program(True, 5), program(False, 1.5), program(True, None, "no_grade")),
            row("c", failure="no_calls"),
        ]
    )
    assert (found.problems, found.right, found.wrong) == (2, 2, 3)
    assert found.auc == pytest.approx(5.5 / 6)
    assert found.within_problem == pytest.approx(2.5 / 3)
    assert found.within_problem_ties == pytest.approx(1 / 3)
    assert [(one.grade, one.right, one.wrong) for one in found.bins] == [(1, 0, 1), (2, 0, 1), (4, 1, 1), (5, 1, 0)]
    assert found.bins[2].share_right == 0.5 and found.bins[1].mean_reward == pytest.approx(0.3)
    assert found.no_grade == {"right: no_grade": 1}
    assert found.failed_problems == {"no_calls": 1}


def test_a_judge_that_says_the_same_of_all_is_said_to_be_at_chance() -> None:
    found = calibration_of([row(key, program(True, 3), program(False, 3)) for key in "abcdef"])
    assert found.auc == 0.5 and "not told apart from chance" in found.finding


def test_no_graded_program_gives_no_figure_and_still_a_picture() -> None:
    found = calibration_of([row("a", program(True, None, "no_grade"))])
    assert found.auc is None and found.bins == ()
    assert draw(found, "title").startswith(b"\x89PNG")


def test_the_auc_interval_holds_the_auc_and_is_wider_where_problems_differ() -> None:
    right, wrong = [4.0, 4, 1, 1], [3.0, 3, 2, 2]
    groups = list("aabb")
    interval = auc_interval(right, wrong, groups, groups)
    assert interval is not None and interval.low <= 0.5 <= interval.high
    assert interval.high - interval.low > 0.5
    assert auc_interval(right, wrong, ["a"] * 4, ["a"] * 4) is None


def test_the_command_takes_up_what_is_there_and_asks_nothing_again(tmp_path: Path) -> None:
    config = tmp_path / "curate.yaml"
    endpoint = {"url": "http://127.0.0.1:9", "model": "nobody"}  # nobody listens: an ask would be an error
    config.write_text(json.dumps({"curate": {"endpoints": [endpoint], "attempts": 1, "deadline_s": 5}}))
    source, out = tmp_path / "problems.jsonl", tmp_path / "out"
    source.write_text(PROBLEMS[0].model_dump_json() + "\n")
    arguments = ["curate", "calibrate", str(source), "--config", str(config), "-o", str(out)]
    first = CliRunner().invoke(build(), arguments)
    assert isinstance(first.exception, HttpError)
    from mcts.calibrate.judging import fingerprint
    from mcts.config import read_config

    made_by = fingerprint(read_config(config), Prompts.load(None), mutants=3, seed=0, calls="model")
    done = JudgedProblem(id="x", key=PROBLEMS[0].key, made_by=made_by, programs=(program(True, 5), program(False, 0)))
    (out / "judged.jsonl").write_text(done.model_dump_json() + "\n")
    second = CliRunner().invoke(build(), arguments)
    assert second.exit_code == 0, second.output
    assert Calibration.model_validate_json((out / "calibration.json").read_text()).auc == 1.0
    assert (out / "calibration.png").read_bytes().startswith(b"\x89PNG")
