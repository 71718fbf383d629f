"""Suites of kind STDIO: the program runs once for each case, and its output is compared here, outside the sandbox.

The rule: the program ends by itself with exit status 0, and its lines are those expected, white space at the end of a
line and empty lines at the end of the text aside. Numbers are compared as text: `1.0` is not `1`.
"""

import asyncio

from coderm_slime.records import Case, Suite
from coderm_slime.sandbox import Ending, Limits, Program, Result, Sandbox
from coderm_slime.testing.report import CaseResult, SuiteReport

_SHOWN_CHARS = 200


async def run_stdio(sandbox: Sandbox, program: str, suite: Suite, limits: Limits) -> SuiteReport:
    """Run every case. Raises SandboxError: the sandbox failed for one of them."""
    runs = [
        sandbox.run(Program(program, stdin=case.input.encode("utf-8", "surrogatepass"), limits=limits))
        for case in suite.cases
    ]
    results = await asyncio.gather(*runs)
    pairs = enumerate(zip(suite.cases, results, strict=True))
    return SuiteReport(tests=tuple(_judged(f"case_{number}", *pair) for number, pair in pairs))


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
