"""Suites of kind STDIO: the program runs once for each case, and its output is compared here, outside the sandbox.

The rule: the program ends by itself with exit status 0, and its lines are those expected, white space at the end of a
line and empty lines at the end of the text aside. Numbers are compared as text: `1.0` is not `1`.
"""

import asyncio
from collections.abc import Iterator, Sequence

from coderm_slime.records import Case, Suite
from coderm_slime.sandbox import Ending, Limits, Program, Result, Sandbox
from coderm_slime.testing.report import CaseResult, SuiteReport

_SHOWN_CHARS = 200
_MOST_HUNG = 3  # each holds a worker for its whole limit, and who hangs three times hangs


async def run_stdio(sandbox: Sandbox, program: str, suite: Suite, limits: Limits) -> SuiteReport:
    """Run every case, up to the third that hangs; those behind it have failed. Raises SandboxError: it failed."""
    gate, hung = asyncio.Semaphore(sandbox.size), 0

    async def run(case: Case) -> Result | None:
        nonlocal hung
        async with gate:
            if hung >= _MOST_HUNG:
                return None
            stdin = case.input.encode("utf-8", "surrogatepass")
            result = await sandbox.run(Program(program, stdin=stdin, limits=limits))
        hung += result.ending is Ending.TIMEOUT
        return result

    results = await asyncio.gather(*map(run, suite.cases))
    return SuiteReport(tests=tuple(_in_order(suite.cases, results)))


def _in_order(cases: Sequence[Case], results: Sequence[Result | None]) -> Iterator[CaseResult]:
    """Judged in the suite's order, so that it does not matter which of them ran first."""
    hung = 0
    for number, (case, result) in enumerate(zip(cases, results, strict=True)):
        if result is None or hung >= _MOST_HUNG:
            yield CaseResult(f"case_{number}", False, f"not judged: {_MOST_HUNG} others hung")
        else:
            hung += result.ending is Ending.TIMEOUT
            yield _judged(f"case_{number}", case, result)


def lines_of(text: str) -> list[str]:
    """The lines that count."""
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _judged(name: str, case: Case, result: Result) -> CaseResult:
    if result.ending is not Ending.OK:
        return CaseResult(name, False, f"ended by {result.ending.value}: {result.stderr[-_SHOWN_CHARS:]}")
    if result.stdout_truncated:
        return CaseResult(name, False, "more output than is kept")
    if lines_of(result.stdout) != lines_of(case.output):
        return CaseResult(name, False, f"wrote {result.stdout[:_SHOWN_CHARS]!r}, not {case.output[:_SHOWN_CHARS]!r}")
    return CaseResult(name, True)
