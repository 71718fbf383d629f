"""Suites of each kind: what counts as a test, what passes, and when there is no verdict."""

import asyncio
import time

import pytest

from coderm_slime.records import Case, Suite
from coderm_slime.sandbox import Limits, Sandbox, SandboxError
from coderm_slime.settings.sandbox import SandboxSettings
from coderm_slime.testing import CaseResult, SuiteReport, run_suite
from helpers.suites import asserts, run_all, table

ADD = "def add(a, b):\n    return a + b\n"
ROWS = {row["name"]: row for row in table("judgements.yaml")}


@pytest.fixture(scope="module")
def reports() -> dict[str, SuiteReport]:
    return run_all({name: (row["program"], Suite(**row["suite"])) for name, row in ROWS.items()})


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["passed"]])
def test_each_test_is_judged(name: str, reports: dict[str, SuiteReport]) -> None:
    report = reports[name]
    assert report.error is None, report.error
    assert [test.passed for test in report.tests] == ROWS[name]["passed"], report
    assert all(test.passed or test.detail for test in report.tests)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row["passed"] is None])
def test_broken_tests_give_no_verdict(name: str, reports: dict[str, SuiteReport]) -> None:
    report = reports[name]
    assert report.broken_tests and report.error and not report.tests and report.passed_fraction is None


def test_a_program_that_no_file_can_hold_fails() -> None:
    suites = {"asserts": asserts("assert x"), "stdio": Suite(kind="stdio", cases=(Case(input="", output=""),))}
    reports = run_all({kind: ("x = '\0\ud800'", suite) for kind, suite in suites.items()})
    assert [report.passed_fraction for report in reports.values()] == [0, 0], reports


def test_the_fraction_counts_each_test_once() -> None:
    report = SuiteReport(tests=(CaseResult("a", True), CaseResult("b", False)))
    assert report.passed_fraction == 0.5 and not report.passed


def test_a_sandbox_that_fails_gives_no_verdict() -> None:
    class FailingSandbox(Sandbox):
        """FAKE: raises as a sandbox whose server died does."""

        async def run_together(self, programs: object) -> list:
            raise SandboxError("the server is gone")

    for suite in (asserts("assert True"), Suite(kind="stdio", cases=(Case(input="", output=""),))):
        report = asyncio.run(run_suite(FailingSandbox(), "x = 1", suite))
        assert report.error == "sandbox: the server is gone" and not report.broken_tests and not report.passed


def test_tests_that_break_down_before_they_start_give_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coderm_slime.testing.run.examiner_source", lambda task: "import os\nos._exit(3)")
    report = run_all({"x": ("x = 1", asserts("assert True"))}, Limits(wall_s=1.0))["x"]
    assert report.error and "broke down" in report.error and not report.tests


def test_hundreds_of_suites_wait_without_holding_sockets() -> None:
    reports = run_all({str(n): (f"def f(): return {n}", asserts(f"assert f() == {n}")) for n in range(400)})
    assert all(report.passed for report in reports.values())


def test_a_suite_costs_milliseconds() -> None:
    async def timed() -> float:
        async with Sandbox(SandboxSettings()) as sandbox:
            await run_suite(sandbox, ADD, asserts("assert add(1, 1) == 2"))
            start = time.perf_counter()
            for _ in range(20):
                await run_suite(sandbox, ADD, asserts("assert add(1, 1) == 2"))
            return (time.perf_counter() - start) / 20

    assert asyncio.run(timed()) < 0.2  # 0.017 s on an idle machine; a busy one is not our cost
