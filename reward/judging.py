"""The verdict of a problem's own unit tests on one answer. slime's, TRL's and the hybrid reward judge through here.

The answer's program is its last Python block after the last closed thought. What the tests say comes from
`coderm_slime.testing`, which the answer cannot forge; this module only turns it into a verdict.
"""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from coderm_slime.chat import Turns, final_answer
from coderm_slime.problems import ProblemError, suite_of_row
from coderm_slime.records import REASONS, Outcome, Reason, Suite, Verdict
from coderm_slime.sandbox import Limits, Sandbox
from coderm_slime.scoring.shaping import floor, shape
from coderm_slime.settings import Settings
from coderm_slime.testing import SuiteReport, run_suite

_READING_THREADS = 2  # reading an answer and its tests takes a ms of CPU, mostly with the interpreter's lock held
_INVALID = (Reason.NO_CODE, Reason.SYNTAX_ERROR)
_UNREAD = (Reason.UNCLOSED_THOUGHT, Reason.TRUNCATED, Reason.EMPTY_ANSWER)


@dataclass(frozen=True)
class Answered:
    """A policy's response, what is known of it, and the row that holds its tests."""

    response: str
    row: Mapping[str, Any]
    prompt: object
    truncated: bool


@dataclass(frozen=True)
class _Task:
    """What is to be run, or the verdict's reason without a run."""

    program: str = ""
    suite: Suite | None = None
    reason: Reason = Reason.SCORED
    detail: str = ""


class UnitTestJudge:
    """Judges answers by their problems' own tests, on one event loop.

    Args:
        turns: how the policy writes turns.
    """

    def __init__(self, settings: Settings, sandbox: Sandbox, turns: Turns) -> None:
        self._settings, self._sandbox, self._turns = settings, sandbox, turns
        tests = settings.tests
        self._limits = Limits(wall_s=tests.suite_s, cpu_s=tests.suite_s, memory_bytes=tests.memory_mb * 10**6)
        self._threads = ThreadPoolExecutor(_READING_THREADS, thread_name_prefix="coderm-tests")

    def close(self) -> None:
        """Stop the reading threads; the sandbox is its owner's."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def judge(self, asked: Answered) -> Verdict:
        """The verdict. Never raises for what an answer, its tests or the sandbox did: that is a verdict, too."""
        started = time.perf_counter()
        task = await asyncio.get_running_loop().run_in_executor(self._threads, self._read, asked)
        report = None
        if task.suite is not None:
            report, task = await self._run(task, task.suite)
        return self._verdict(task, report, time.perf_counter() - started)

    def _read(self, asked: Answered) -> _Task:
        """The answer's floors come before its tests: they need none."""
        answer = final_answer(
            asked.response,
            turns=self._turns,
            prompt=asked.prompt,
            thinking=self._settings.tests.thinking,
            truncated=asked.truncated,
        )
        fault = answer.floor or answer.fault_in_code()
        if fault is not None or answer.code is None:
            return _Task(reason=fault or Reason.NO_CODE)
        try:
            return _Task(answer.code.code, suite_of_row(asked.row))
        except ProblemError as error:
            return _Task(reason=Reason.NO_TESTS, detail=str(error))

    async def _run(self, task: _Task, suite: Suite) -> tuple[SuiteReport | None, _Task]:
        deadline_s = self._settings.tests.deadline_s
        try:
            running = run_suite(self._sandbox, task.program, suite, limits=self._limits)
            report = await asyncio.wait_for(running, deadline_s)
        except asyncio.TimeoutError:
            return None, _Task(reason=Reason.TIMEOUT, detail=f"the tests did not come to an end within {deadline_s} s")
        if report.error is not None:
            return None, _Task(
                reason=Reason.BROKEN_TESTS if report.broken_tests else Reason.SANDBOX, detail=report.error
            )
        return report, task

    def _verdict(self, task: _Task, report: SuiteReport | None, latency_s: float) -> Verdict:
        score, passed, tests = None, None, None
        if report is not None:
            passed, tests = sum(test.passed for test in report.tests), len(report.tests)
            score = self._score(passed, tests)
        elif REASONS[task.reason].outcome is Outcome.FLOOR:
            score = floor(self._settings.rm)
        return Verdict(
            score=score,
            reason=task.reason,
            detail=task.detail,
            latency_s=latency_s,
            valid=None if task.reason in _UNREAD else task.reason not in _INVALID,
            passed=passed,
            tests=tests,
        )

    def _score(self, passed: int, tests: int) -> float:
        part = passed / tests if self._settings.tests.rule == "fraction" else float(passed == tests)
        return shape(self._settings.rm.clip * (2 * part - 1), self._settings.rm)
