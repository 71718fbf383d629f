"""Runs a suite in the sandbox and reads its results: the one place where it is decided what passed.

The kinds with calls (ASSERTS, PYTEST, CALLS) run as two programs that talk over a socket; the tests' process reports
over another one, which the answer does not have. A test passes only by a report that says so: an early exit, a hang, a
broken frame or the end of either process leaves the tests that follow without one, and they fail.
"""

import asyncio
import json
import socket
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from coderm_slime.records import Suite, SuiteKind
from coderm_slime.sandbox import Ending, Limits, Program, Result, Sandbox, SandboxError
from coderm_slime.testing.report import CaseResult, SuiteReport
from coderm_slime.testing.source import PRELOADED, answer_source, examiner_source
from coderm_slime.testing.stdio import run_stdio

_MAX_REPORT_BYTES = 16 << 20
_EXAMINER_EXTRA_S = 2.0  # the tests' process outlives the answer's, to report that it hung
_HEADER_BYTES = 4
_SHOWN_CHARS = 500


async def run_suite(sandbox: Sandbox, program: str, suite: Suite, limits: Limits | None = None) -> SuiteReport:
    """Run all tests of `suite` on `program`. Never raises for what either of them does.

    Args:
        sandbox: open, with two workers or more.
        limits: for each of the processes; `wall_s` bounds the whole suite, or one case of STDIO.
    """
    limits = limits or Limits()
    try:
        if suite.kind is SuiteKind.STDIO:
            return await run_stdio(sandbox, program, suite, limits)
        task = _task(suite)
    except SandboxError as error:
        return SuiteReport(error=f"sandbox: {error}")
    except (ValueError, RecursionError) as error:
        return SuiteReport(error=f"a case is no JSON: {error}", broken_tests=True)
    async with _gate(sandbox):
        return await _run_pair(sandbox, program, task, limits, fallback=len(suite.tests))


_gates: weakref.WeakKeyDictionary[Sandbox, asyncio.Semaphore] = weakref.WeakKeyDictionary()


def _gate(sandbox: Sandbox) -> asyncio.Semaphore:
    """Lets through as many suites as keep the sandbox busy: each holds four sockets, of which a process has few."""
    return _gates.setdefault(sandbox, asyncio.Semaphore(sandbox.size))


def _task(suite: Suite) -> dict[str, Any]:
    """What the tests' process needs. Raises ValueError: a case is no JSON list of arguments and JSON value."""
    task = {"kind": suite.kind.value, "entry_point": suite.entry_point, "setup": suite.setup}
    if suite.kind is not SuiteKind.CALLS:
        return task | {"tests": list(suite.tests)}
    cases = [(case.input, case.output) for case in suite.cases]
    for arguments, output in cases:
        json.loads(output)
        if not isinstance(json.loads(arguments), list):
            raise ValueError(f"{arguments[:_SHOWN_CHARS]!r} is no list of arguments")
    return task | {"cases": cases}


async def _run_pair(
    sandbox: Sandbox, program: str, task: dict[str, Any], limits: Limits, fallback: int
) -> SuiteReport:
    sockets = [*socket.socketpair(), *socket.socketpair()]
    tests_rpc, answer_rpc, tests_report, ours = sockets
    ours.setblocking(False)

    def close_theirs() -> None:  # else the end of one process would not reach the other
        for theirs in (tests_rpc, answer_rpc, tests_report):
            theirs.close()

    preloaded = (*PRELOADED, "pytest") if task["kind"] == "pytest" else PRELOADED
    tests = Program(
        examiner_source(task),
        limits=replace(limits, wall_s=limits.wall_s + _EXAMINER_EXTRA_S),
        channels=(tests_rpc, tests_report),
        imports=preloaded,
    )
    answer = Program(answer_source(program), limits=limits, channels=(answer_rpc,), imports=PRELOADED)
    reading = asyncio.ensure_future(_read(ours, close_theirs))
    try:
        results = await sandbox.run_together([tests, answer])
        close_theirs()
        frames = await reading
    except SandboxError as error:
        return SuiteReport(error=f"sandbox: {error}")
    finally:
        reading.cancel()
        close_theirs()
        ours.close()
    return _judged(frames, results[0], results[1], fallback)


async def _read(ours: socket.socket, on_start: Callable[[], None]) -> list[dict[str, Any]]:
    """The frames of the report up to its end; what is no frame ends it."""
    loop, data, frames = asyncio.get_running_loop(), bytearray(), list[dict[str, Any]]()
    total = 0
    while total < _MAX_REPORT_BYTES and (part := await loop.sock_recv(ours, 1 << 16)):
        total += len(part)
        data += part
        while len(data) >= _HEADER_BYTES and len(data) >= (end := _HEADER_BYTES + int.from_bytes(data[:4], "big")):
            frame = json.loads(data[_HEADER_BYTES:end])
            del data[:end]
            if frame.get("start"):
                on_start()
            frames.append(frame)
    return frames


def _judged(frames: list[dict[str, Any]], tests: Result, answer: Result, fallback: int) -> SuiteReport:
    said: dict[str, Any] = {}
    results: dict[str, CaseResult] = {}
    for frame in frames:
        if "test" in frame:
            results.setdefault(frame["test"], CaseResult(frame["test"], frame["passed"] is True, frame["detail"]))
        else:
            said |= frame
    if "broken" in said:
        return SuiteReport(error=f"the tests are broken: {said['broken']}", broken_tests=True)
    crashed = "end" not in said and tests.ending in (Ending.EXCEPTION, Ending.EXIT_CODE)
    if "start" not in said or (crashed and "plan" not in said):
        shown = tests.stderr[-_SHOWN_CHARS:]
        return SuiteReport(error=f"the tests' process broke down ({tests.ending.value}): {shown}")
    missing = f"no result: the tests' process ended by {tests.ending.value}, the answer's by {answer.ending.value}"
    plan = said.get("plan") or [f"test_{number}" for number in range(fallback or 1)]
    return SuiteReport(tests=tuple(results.get(name) or CaseResult(name, False, missing) for name in plan))
