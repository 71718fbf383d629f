"""What a calibration says in numbers. The share of right programs is ours, by the number of mutants: no base rate."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from coderm_slime.metrics import Interval, auc, auc_interval, pair_accuracy
from mcts.calibrate.rows import JudgedProblem, JudgedProgram
from mcts.judge import MAX_GRADE

CHANCE = 0.5


class Bin(BaseModel):
    """The programs whose grade rounds to `grade` (halves up): how many are right, how many wrong."""

    model_config = ConfigDict(frozen=True)

    grade: int
    mean_reward: float
    right: int
    wrong: int

    @property
    def share_right(self) -> float:
        """Of the programs in the bin."""
        return self.right / (self.right + self.wrong)


class Calibration(BaseModel):
    """A judge against the truth.

    Attributes:
        problems, right, wrong: judged with a grade.
        no_grade: programs that the judge gave none, by reason, right and wrong ones apart.
        failed_problems: problems without any judged program, by reason.
        auc: chance that a right program's grade is above a wrong one's; ties half. None without both.
        auc_interval: 95 %, resampling problems.
        within_problem: the same over right and wrong programs of one problem only; None without such.
        within_problem_ties: share of these pairs that tie.
        bins: calibration curve and confusion in one: only grades that occurred.
        finding: the result in words, by the interval.
    """

    model_config = ConfigDict(frozen=True)

    problems: int
    right: int
    wrong: int
    no_grade: dict[str, int]
    failed_problems: dict[str, int]
    auc: float | None
    auc_interval: Interval | None
    within_problem: float | None
    within_problem_ties: float | None
    bins: tuple[Bin, ...]
    finding: str


def calibration_of(rows: Sequence[JudgedProblem]) -> Calibration:
    """The figures of all rows."""
    graded = [(row.key, program) for row in rows for program in row.programs if program.grade is not None]
    right = [(key, _grade(program)) for key, program in graded if program.right]
    wrong = [(key, _grade(program)) for key, program in graded if not program.right]
    found, interval = None, None
    if right and wrong:
        sides = [grade for _, grade in right], [grade for _, grade in wrong]
        found = auc(*sides)
        interval = auc_interval(*sides, [key for key, _ in right], [key for key, _ in wrong])
    pairs = [(high, low) for key, high in right for other, low in wrong if key == other]
    missing = Counter(
        f"{'right' if program.right else 'wrong'}: {program.failure}"
        for row in rows
        for program in row.programs
        if program.grade is None
    )
    return Calibration(
        problems=len({key for key, _ in graded}),
        right=len(right),
        wrong=len(wrong),
        no_grade=dict(missing),
        failed_problems=dict(Counter(row.failure for row in rows if row.failure)),
        auc=found,
        auc_interval=interval,
        within_problem=pair_accuracy(*zip(*pairs, strict=True)) if pairs else None,
        within_problem_ties=fmean(high == low for high, low in pairs) if pairs else None,
        bins=tuple(_bins([program for _, program in graded])),
        finding=_finding(found, interval),
    )


def _bins(programs: Sequence[JudgedProgram]) -> list[Bin]:
    bins = []
    for grade in range(MAX_GRADE + 1):
        inside = [program for program in programs if int(_grade(program) + 0.5) == grade]
        if inside:
            right = sum(program.right for program in inside)
            mean = sum(map(_grade, inside)) / len(inside) / MAX_GRADE
            bins.append(Bin(grade=grade, mean_reward=mean, right=right, wrong=len(inside) - right))
    return bins


def _finding(found: float | None, interval: Interval | None) -> str:
    if found is None:
        return "No AUC: the judge graded no right program, or no wrong one."
    if interval is None:
        return f"AUC {found:.3f}, of a single problem: nothing follows from it."
    figures = f"AUC {found:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    if interval.low > CHANCE:
        return f"{figures}: the judge tells right programs from these wrong ones better than chance."
    if interval.high < CHANCE:
        return f"{figures}: the judge prefers these wrong programs to right ones."
    return f"{figures}: on these programs the judge is not told apart from chance."


def _grade(program: JudgedProgram) -> float:
    assert program.grade is not None
    return program.grade
