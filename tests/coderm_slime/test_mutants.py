"""Mutants: small edits, and what the problems' own tests say of them in the sandbox."""

import fcntl
import json
from pathlib import Path

import pytest

from coderm_slime.mutate.small_edits import small_edits
from coderm_slime.problems import starter_problems
from coderm_slime.pycode import parses
from helpers.processes import coderm

PROGRAM = '''def first(values, limit=3):
    """Not an edit."""
    best = 0  # keeps
    for i in range(len(values)):
        if values[i] < limit and (best == 0):
            best = min(best + 1, limit)
    return best
'''
LINES = {
    "comparison": "        if values[i] <= limit and (best == 0):",
    "arithmetic": "            best = min(best - 1, limit)",
    "logic": "        if values[i] < limit or (best == 0):",
    "constant": "    best = 1  # keeps",
    "condition": "        if not (values[i] < limit and (best == 0)):",
    "name": "        if values[i] < best and (best == 0):",
    "arguments": "            best = min(limit, best + 1)",
    "call": "            best = max(best + 1, limit)",
    "range": "    for i in range(len(values) + 1):",
    "statement": "    pass  # keeps",
}


def test_an_edit_changes_one_line_and_keeps_the_layout_of_all_others() -> None:
    edits = small_edits(PROGRAM, 1000, "seed")
    assert len({edit.program for edit in edits}) == len(edits)
    for edit in edits:
        assert parses(edit.program)
        changed = [new for old, new in zip(PROGRAM.split("\n"), edit.program.split("\n"), strict=True) if old != new]
        assert len(changed) == 1
    assert {edit.kind for edit in edits} == set(LINES)


@pytest.mark.parametrize(("kind", "line"), LINES.items())
def test_each_kind_writes_what_a_person_might(kind: str, line: str) -> None:
    programs = [edit.program for edit in small_edits(PROGRAM, 1000, "seed") if edit.kind == kind]
    assert any(line in program.split("\n") for program in programs)


def test_a_few_edits_are_of_many_kinds_and_the_same_each_time() -> None:
    few = small_edits(PROGRAM, 8, "seed")
    assert len({edit.kind for edit in few}) == 8
    assert few == small_edits(PROGRAM, 8, "seed") != small_edits(PROGRAM, 8, "other")


def test_mutants_fail_their_tests_and_a_second_run_goes_on(tmp_path: Path) -> None:
    source, out = tmp_path / "problems.jsonl", tmp_path / "out.jsonl"
    rows = [problem.model_dump(mode="json", exclude={"wrong"}) for problem in starter_problems()[:3]]
    wrong = {**rows[0], "id": "not right", "solution": rows[1]["solution"]}
    source.write_text("".join(json.dumps(row) + "\n" for row in [*rows[:2], wrong]))
    done = coderm("data", "mutants", source, out, "--per-problem", 6)
    assert done.returncode == 0, done.stderr
    pairs = [json.loads(line) for line in out.read_text().splitlines()]
    assert {pair["metadata"]["id"] for pair in pairs} == {row["id"] for row in rows[:2]}
    assert all(pair["metadata"]["failed"] >= 1 and pair["chosen"] != pair["rejected"] for pair in pairs)
    assert f"{len(pairs)} mutants that fail their tests" in done.stderr
    assert "1 problems whose own solution does not pass" in done.stderr
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = coderm("data", "mutants", source, out, "--per-problem", 6)
    assert "2 problems are in" in again.stderr
    more = [json.loads(line) for line in out.read_text().splitlines()]
    assert more[: len(pairs)] == pairs
    assert {pair["metadata"]["id"] for pair in more[len(pairs) :]} == {rows[2]["id"]}


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    source, out = tmp_path / "problems.jsonl", tmp_path / "out.jsonl"
    source.write_text(starter_problems()[0].model_dump_json(exclude={"wrong"}) + "\n")
    out.write_text('{"other": 1}\n')
    done = coderm("data", "mutants", source, out)
    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert out.read_text() == '{"other": 1}\n'


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    source, out = tmp_path / "problems.jsonl", tmp_path / "out.jsonl"
    source.write_text(starter_problems()[0].model_dump_json(exclude={"wrong"}) + "\n")
    with out.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = coderm("data", "mutants", source, out)
    assert (done.returncode, "another run is writing" in done.stderr) == (1, True)
    assert out.read_bytes() == b""
