"""Rows that cross seams: what they accept, what they refuse, and how they survive a bad file."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from coderm_slime.records import (
    REASONS,
    Candidate,
    Outcome,
    PairExample,
    Problem,
    Reason,
    RecordError,
    ScalarExample,
    SearchTree,
    Suite,
    Verdict,
    append_jsonl,
    problem_key,
    read_jsonl,
)

PAIR = {"problem": "p", "chosen": "a", "rejected": "b"}


def test_a_pair_reads_problem_or_prompt_and_keeps_foreign_fields() -> None:
    pair = PairExample.model_validate({"prompt": "p", "chosen": "a", "rejected": "b", "bug_type": "off by one"})
    assert pair.problem == "p"
    assert pair.metadata == {"bug_type": "off by one"}
    assert pair.key == PairExample.model_validate(PAIR).key


def test_a_record_survives_its_own_json() -> None:
    pair = PairExample.model_validate({**PAIR, "chosen_label": 0.9, "rejected_label": 0.1, "operator": "x"})
    assert PairExample.model_validate_json(pair.model_dump_json()) == pair


def test_rows_of_one_problem_share_a_key_whatever_their_white_space() -> None:
    assert problem_key("Add  two\nnumbers.") == problem_key("Add two numbers. ")
    assert problem_key("Add two numbers.") != problem_key("Add three numbers.")


@pytest.mark.parametrize(
    ("kind", "row", "named"),
    [
        (PairExample, {**PAIR, "rejected": "a"}, "same text"),
        (PairExample, {**PAIR, "chosen": ""}, "chosen"),
        (PairExample, {**PAIR, "chosen_label": 0.2, "rejected_label": 0.2}, "not above"),
        (PairExample, {**PAIR, "schema_version": 2}, "schema_version"),
        (PairExample, {**PAIR, "metadata": 3, "extra": 1}, "metadata"),
        (ScalarExample, {"problem": "p", "response": "r", "q": float("nan"), "n": 1}, "finite"),
        (ScalarExample, {"problem": "p", "response": "r", "q": 3.0, "n": 2}, "exceeds n=2"),
        (ScalarExample, {"problem": "p", "response": "r", "q": 0.0, "n": 0}, "n\n"),
        (ScalarExample, {"problem": "p", "response": "", "q": 0.0, "n": 1}, "response"),
        (Candidate, {"problem": "p"}, "either"),
        (Candidate, {"problem": "p", "response": "r", "program": "c"}, "either"),
        (Verdict, {"score": None, "reason": "scored"}, "does not fit"),
        (Verdict, {"score": 0.5, "reason": "timeout"}, "does not fit"),
        (Verdict, {"score": float("inf"), "reason": "scored"}, "finite"),
    ],
)
def test_a_bad_row_is_refused_by_name(kind: type, row: dict, named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        kind.model_validate(row)


@pytest.mark.parametrize(("q", "n", "label"), [(0.0, 3, 0.0), (1.4, 2, 0.7), (2.0, 2, 1.0), (3.0000000001, 3, 1.0)])
def test_a_label_is_the_mean_reward_and_never_above_one(q: float, n: int, label: float) -> None:
    assert ScalarExample(problem="p", response="r", q=q, n=n).label == label


def test_every_reason_is_documented_and_only_abstentions_lack_a_score() -> None:
    assert set(REASONS) == set(Reason)
    for reason, facts in REASONS.items():
        score = None if facts.outcome is Outcome.ABSTAINED else -4.0
        assert Verdict(score=score, reason=reason).outcome is facts.outcome


def node(id_: int, parent: int | None, depth: int, visits: int, value: float, **more: object) -> dict:
    return {
        "id": id_,
        "parent": parent,
        "depth": depth,
        "segment": f"s{id_}",
        "visits": visits,
        "value": value,
        **more,
    }


LEAF = {"response": "whole", "terminal_visits": 1}
NODES = [
    node(0, None, 0, 3, 1.6),
    node(1, 0, 1, 2, 0.8),
    node(2, 1, 2, 1, 0.6, **LEAF),
    node(3, 1, 2, 1, 0.2, **LEAF),
    node(4, 0, 1, 1, 0.8, **LEAF),
]


def tree(nodes: list[dict]) -> SearchTree:
    return SearchTree.model_validate({"problem": {"id": "x", "problem": "p"}, "seed": 0, "nodes": nodes})


def test_a_consistent_tree_is_accepted() -> None:
    assert tree(NODES).nodes[1].visits == 2


@pytest.mark.parametrize(
    ("position", "change", "named"),
    [
        (1, {"visits": 3}, "N=3, its children sum to 4"),
        (1, {"depth": 2}, "depth"),
        (1, {"value": 0.7}, "Q=1.6, its children sum to 1.5"),
        (0, {"value": 3.1}, "Q=3.1, its children sum to 1.6"),
        (2, {"value": 1.1}, "its own 1 evaluations give at most 1 each|children sum"),
        (2, {"response": None}, "holds no response"),
        (2, {"parent": 3}, "does not come before"),
        (3, {"id": 7}, "position 3"),
        (4, {"parent": None}, "no parent"),
    ],
)
def test_a_tree_that_breaks_an_invariant_is_refused(position: int, change: dict, named: str) -> None:
    nodes = [{**row, **change} if index == position else row for index, row in enumerate(NODES)]
    with pytest.raises(ValidationError, match=named):
        tree(nodes)


def test_a_bad_line_is_an_error_value_with_its_place_and_loses_no_neighbour(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps({"id": "1", "problem": "p"})
    path.write_bytes(
        f'{good}\n[1]\n\n{{"id": "2"}}\n'.encode() + b"\xff\xfe\n" + good.encode() + b'\n{"id": "3", "pro'
    )
    rows = list(read_jsonl(path, Problem))
    assert [type(row) for row in rows] == [Problem, RecordError, RecordError, RecordError, Problem, RecordError]
    assert [row.line for row in rows if isinstance(row, RecordError)] == [2, 4, 5, 7]
    assert f"{path}:4: Problem.problem: Field required" in str(rows[2])


@pytest.mark.parametrize(
    ("before", "kept"),
    [(b"", 0), (b'{"id":"1","problem":"p"}\n{"id":"2","pro', 1), (b'{"id":"1","problem":"p"}', 1), (b'{"id":"1', 0)],
)
def test_appending_cuts_a_torn_line_and_keeps_a_whole_one(tmp_path: Path, before: bytes, kept: int) -> None:
    path = tmp_path / "deep" / "rows.jsonl"
    path.parent.mkdir()
    path.write_bytes(before)
    append_jsonl(path, [Problem(id="new", problem="q")])
    rows = list(read_jsonl(path, Problem))
    assert [row.id for row in rows if isinstance(row, Problem)] == [*["1"][:kept], "new"]
    assert len(rows) == kept + 1


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "asserts"},
        {"kind": "asserts", "cases": [{"input": "", "output": ""}]},
        {"kind": "stdio", "tests": ["assert f()"]},
        {"kind": "calls", "cases": [{"input": "[1]", "output": "2"}]},
    ],
    ids=["no tests", "cases where tests belong", "tests where cases belong", "calls of nothing"],
)
def test_a_suite_that_could_not_be_run_is_refused(row: dict) -> None:
    with pytest.raises(ValidationError):
        Suite.model_validate(row)


def test_a_suite_survives_json() -> None:
    suite = Suite(kind="calls", entry_point="f", cases=[{"input": "[1]", "output": "2"}])
    assert Suite.model_validate_json(suite.model_dump_json()) == suite
