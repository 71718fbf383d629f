"""What a run folder shows of its journal, as JSON lines. A file is whole, or still the one before."""

import json
from pathlib import Path

from coderm_slime.files import replaced
from coderm_slime.problems import Dropped, LeftOut
from coderm_slime.records import Problem
from mcts.engine.journal import Journal
from mcts.export.trees import TREES

FAILED, LEFT_OUT, CONTAMINATED = "failed.jsonl", "left_out.jsonl", "contaminated.jsonl"


def write_results(journal: Journal, folder: Path) -> int:
    """Write the finished trees and the failures, each problem once, in the source's order; the number of trees."""
    count = 0
    with replaced(folder / TREES) as file:
        for tree in journal.trees():
            file.write(tree.encode() + b"\n")
            count += 1
    with replaced(folder / FAILED) as file:
        for key, body, state, reason, detail in journal.failed():
            problem = Problem.model_validate_json(body)
            row = {"key": key, "id": problem.id, "state": state, "reason": reason, "detail": detail}
            file.write(json.dumps(row).encode() + b"\n")
    return count


def write_left_out(rows: list[LeftOut], folder: Path) -> None:
    """Write which rows of the source gave no problem, and why."""
    with replaced(folder / LEFT_OUT) as file:
        for row in rows:
            fact = {"file": str(row.path), "line": row.line, "fault": row.fault.value, "detail": row.problem}
            file.write(json.dumps(fact).encode() + b"\n")


def write_contaminated(rows: list[Dropped], folder: Path) -> None:
    """Write which problems were not taken, as an evaluation set holds them, and what they share with it."""
    with replaced(folder / CONTAMINATED) as file:
        for row in rows:
            file.write(json.dumps(row.row()).encode() + b"\n")
