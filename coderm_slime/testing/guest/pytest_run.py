"""Runs test files with pytest in the tests' process: one result an item, from a plugin object.

Counted are the items whose outcome the answer decides: one that is skipped by an unconditional mark, or expected to
fail, is left out. A file that cannot be collected is broken, unless the answer did not load, lacks a name, or has run
by then: then its tests fail.
"""

import os
import tempfile
from typing import Any

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook

from coderm_slime.testing.guest.examiner import Answer, BrokenTests, Report, compiled, explained
from coderm_slime.testing.guest.mirror import is_mirror

_OPTIONS = ["-p", "no:cacheprovider", "-p", "no:doctest", "-p", "no:junitxml", "-p", "no:pastebin", "-q", "--tb=short"]


class _Plugin:
    """Collects no object of the answer, gives test modules the answer's names, and reports."""

    def __init__(self, answer: Answer, report: Report) -> None:
        self._answer, self._report = answer, report
        self._outcomes: dict[str, list[pytest.TestReport]] = {}
        self.broken: list[str] = []
        self.failed_files: list[tuple[str, str]] = []
        self.planned: list[str] = []
        self.left_out: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, name: str, obj: Any) -> Any:
        return [] if is_mirror(obj) or is_mirror(getattr(obj, "__wrapped__", None)) else None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.passed:
            return
        detail = str(report.longrepr)
        if self._answer.may_be_at_fault:
            self.failed_files.append((report.nodeid, detail))
        else:
            self.broken.append(detail)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.left_out = {item.nodeid for item in session.items if _decided(item)}
        self.planned = [item.nodeid for item in session.items if item.nodeid not in self.left_out]
        if not self.broken:
            self._report.plan([*self.planned, *(name for name, _ in self.failed_files)])
            for name, detail in self.failed_files:
                self._report.result(name, False, detail)

    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        self._answer.peer.exits_pass = True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._outcomes.setdefault(report.nodeid, []).append(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._answer.peer.exits_pass = False
        reports = self._outcomes.pop(nodeid, [])
        if nodeid in self.left_out:
            return
        bad = [report for report in reports if not report.passed]
        passed = len(reports) == 3 and not bad and not self._answer.peer.broken
        detail = self._answer.peer.broken or "\n".join(str(report.longrepr or report.outcome) for report in bad)
        self._report.result(nodeid, passed, detail)


def _decided(item: pytest.Item) -> bool:
    return item.get_closest_marker("skip") is not None or item.get_closest_marker("xfail") is not None


def run_files(answer: Answer, report: Report, setup: str, files: list[str]) -> None:
    """Write the files to a folder of this process, and run pytest on them."""
    for number, text in enumerate(files):
        compiled(text, f"test_{number}.py")
    answer.load()
    folder = tempfile.mkdtemp(prefix="tests-", dir=os.getcwd())
    paths = [os.path.join(folder, f"test_{number}.py") for number in range(len(files))]
    for path, text in zip(paths, files, strict=True):
        with open(path, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(_with_setup(setup, text))
    plugin = _Plugin(answer, report)
    _give_names(answer)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = [*_OPTIONS, "-c", os.devnull, "--rootdir", folder, "--confcutdir", folder, "--import-mode=importlib"]
    try:
        code = pytest.main([*options, *paths], plugins=[plugin])
    except BaseException as error:  # noqa: BLE001 - pytest itself does not raise: something ended it
        raise BrokenTests(f"pytest ended: {explained(error)}") from None
    if plugin.broken:
        raise BrokenTests("\n".join(plugin.broken))
    if code == pytest.ExitCode.USAGE_ERROR or not (plugin.planned or plugin.failed_files):
        raise BrokenTests("pytest collected no test that the answer decides")


def _with_setup(setup: str, text: str) -> str:
    return f"{setup}\n{text}" if setup else text


def _give_names(answer: Answer) -> None:
    """Let each test module begin with the answer's names that it uses; what it defines itself comes later and wins."""
    execute = AssertionRewritingHook.exec_module

    def exec_module(self: Any, module: Any) -> None:
        origin = getattr(module.__spec__, "origin", None) or ""
        if os.path.basename(origin).startswith("test_"):
            with open(origin, encoding="utf-8", errors="surrogatepass") as file:
                module.__dict__.update(answer.bare_names(file.read()))
        execute(self, module)

    AssertionRewritingHook.exec_module = exec_module  # type: ignore[method-assign]
