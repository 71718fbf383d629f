"""Shared fixtures, and the rule that no test is skipped unless allowed_skips.txt lists it with its reason."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")
_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    unlisted = _unlisted_skips()
    if unlisted and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for nodeid in _unlisted_skips():
        terminalreporter.line(f"skipped, but {ALLOWED_SKIPS.name} does not list it with a reason: {nodeid}", red=True)


def _unlisted_skips() -> list[str]:
    rules = [line.partition("#") for line in ALLOWED_SKIPS.read_text().splitlines() if not line.startswith("#")]
    allowed = [pattern.strip() for pattern, _, reason in rules if pattern.strip() and reason.strip()]
    return [nodeid for nodeid in _skipped if not any(fnmatch(nodeid, pattern) for pattern in allowed)]
