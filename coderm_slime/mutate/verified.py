"""Mutants: small edits of right programs whose own tests fail in the sandbox. Every pair has been run, both sides.

An edit that the tests do not notice may be right, or wrong where no test looks: it is counted and left out.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from enum import Enum

from coderm_slime.mutate.small_edits import SmallEdit, small_edits
from coderm_slime.records import PairExample, Problem, Suite
from coderm_slime.sandbox import Limits, Sandbox
from coderm_slime.testing import SuiteReport, run_suite

_IN_FLIGHT = 64  # programs asked for at a time; the sandbox's own pool bounds what runs
# An edit may well loop for ever, and each that does holds a worker for so long; right programs take far less.
_LIMITS = Limits(wall_s=5, cpu_s=5)
_NAME_ERRORS = ("NameError", "UnboundLocalError")


class Fate(str, Enum):
    """What became of a problem or an edit, for the counts."""

    BROKEN = "mutants that fail their tests"
    PASSES = "edits that the tests do not notice"
    NO_VERDICT = "edits on which the sandbox or the tests gave no verdict"
    NO_SUITE = "problems without a solution or tests"
    NOT_RIGHT = "problems whose own solution does not pass"


class Mutants:
    """Makes mutants of problems, at most `most` edits tried for each.

    Attributes:
        fates: how many of each `Fate`.
        kinds: kept mutants by kind of edit.
        name_errors: kept mutants of which every failed test ended in a NameError: easy to tell.
    """

    def __init__(self, sandbox: Sandbox, most: int, seed: int) -> None:
        self._sandbox, self._most, self._seed = sandbox, most, seed
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self.fates: Counter[Fate] = Counter()
        self.kinds: Counter[str] = Counter()
        self.name_errors = 0

    async def of(self, problem: Problem) -> list[PairExample]:
        """The problem's solution over each of its mutants; `metadata` says which edit it was and what failed.

        Raises:
            SourceError: the solution does not parse.
        """
        solution, suite = problem.solution, problem.suite
        if solution is None or suite is None:
            self.fates[Fate.NO_SUITE] += 1
            return []
        if not (await self._run(solution, suite)).passed:
            self.fates[Fate.NOT_RIGHT] += 1
            return []
        edits = small_edits(solution, self._most, f"{self._seed} {problem.id}")
        reports = await asyncio.gather(*(self._run(edit.program, suite) for edit in edits))
        pairs = (self._pair(problem, solution, *row) for row in zip(edits, reports, strict=True))
        return [pair for pair in pairs if pair is not None]

    async def _run(self, program: str, suite: Suite) -> SuiteReport:
        async with self._slots:
            return await run_suite(self._sandbox, program, suite, _LIMITS)

    def _pair(self, problem: Problem, solution: str, edit: SmallEdit, report: SuiteReport) -> PairExample | None:
        if report.error is not None:
            self.fates[Fate.NO_VERDICT] += 1
            return None
        failed = [test for test in report.tests if not test.passed]
        if not failed:
            self.fates[Fate.PASSES] += 1
            return None
        name_error = all(any(name in test.detail for name in _NAME_ERRORS) for test in failed)
        self.fates[Fate.BROKEN] += 1
        self.kinds[edit.kind] += 1
        self.name_errors += name_error
        return PairExample(
            problem=problem.problem,
            chosen=solution,
            rejected=edit.program,
            metadata={
                "id": problem.id,
                "kind": "mutant",
                "edit": edit.kind,
                "name_error": name_error,
                "failed": len(failed),
                "tests": len(report.tests),
                "detail": failed[0].detail[:200],
            },
        )


async def mutants_of(problems: Sequence[Problem], mutants: Mutants) -> AsyncIterator[list[PairExample]]:
    """Each problem's pairs, in order, as they come; the problems behind it run meanwhile."""
    running = [asyncio.ensure_future(mutants.of(problem)) for problem in problems]
    try:
        for task in running:
            yield await task
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
