"""24 small problems of daily programming, written for this project, each with one right and five wrong programs.

They are data to try things on, and a first handful of pairs on a machine that can run nothing. They are too few and
too easy to judge a reward model by. They are public: a policy may have seen them.
"""

import json
from importlib.resources import files

from coderm_slime.problems.suites import suite_of_code
from coderm_slime.records import PairExample, Problem


class StarterProblem(Problem):
    """A problem in which nothing is missing.

    Attributes:
        test: plain asserts on the entry point; program and test, joined by a newline, run as one file.
        wrong: programs that fail the test, each by a mistake that people make.
    """

    entry_point: str
    solution: str
    test: str
    wrong: tuple[str, ...]


def starter_problems() -> list[StarterProblem]:
    """The starter problems in the order of their ids."""
    text = files(__package__).joinpath("starter.jsonl").read_text(encoding="utf-8")
    rows = (json.loads(line) for line in text.split("\n") if line)
    return [StarterProblem(**row, suite=suite_of_code(row["test"], row["entry_point"])) for row in rows]


def starter_pairs() -> list[PairExample]:
    """The right program over each of the wrong ones; `metadata` has the problem's id and the place among its wrong."""
    return [
        PairExample(
            problem=problem.problem,
            chosen=problem.solution,
            rejected=program,
            metadata={"id": problem.id, "kind": "starter", "wrong": number},
        )
        for problem in starter_problems()
        for number, program in enumerate(problem.wrong)
    ]
