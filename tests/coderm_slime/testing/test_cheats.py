"""Ways to cheat a problem's tests: none earns a point, and a check of the exit status would have paid most of them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coderm_slime.records import Suite, SuiteKind
from coderm_slime.testing import SuiteReport
from helpers.suites import run_all, table

HONEST = """
def add(a, b):
    if a is None:
        raise ValueError
    return a + b
def half(x): return x / 2
def odds(n): return set(range(1, n, 2))
def name(n): return 'ab'
def order(x):
    if hasattr(x, 'send'): x.send([1, 3])
    if hasattr(x, 'items'):
        x.items = [1, 3]
        return x.items
    return [1, 3] if callable(x) else sorted(x)
import math
class Circle:
    def __init__(self, radius): self.radius = radius
    def area(self): return math.pi * self.radius ** 2
    def points(self): return {0, self.radius}
    def measures(self): return [self.area()]
"""
SUITES = {name: Suite(**suite) for name, suite in table("cheat_suites.yaml").items()}
CHEATS = {row["name"]: row for row in table("cheats.yaml")}


@pytest.fixture(scope="module")
def reports() -> dict[str, SuiteReport]:
    return run_all({name: (row["program"], SUITES[row["suite"]]) for name, row in CHEATS.items()})


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_earns_no_point(name: str, reports: dict[str, SuiteReport]) -> None:
    report = reports[name]
    assert not any(test.passed for test in report.tests), report
    assert report.error is None, report.error  # it is judged, too: cheating is no way out of a low score


def test_an_honest_answer_passes_the_same_suites() -> None:
    reports = run_all({name: (HONEST, suite) for name, suite in SUITES.items()})
    assert {name: report for name, report in reports.items() if not report.passed} == {}


def passes_naive_check(program: str, suite: Suite, folder: Path) -> bool:
    """Whether program and tests in one process end with exit status 0."""
    command = [sys.executable, "-c", "\n".join([program, suite.setup, *suite.tests])]
    if suite.kind is SuiteKind.PYTEST:
        (folder / "solution.py").write_text(program)
        (folder / "test_it.py").write_text(suite.tests[0])
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def test_the_naive_check_would_have_paid_most_of_them(tmp_path: Path) -> None:
    def naive(name: str) -> str:
        row, folder = CHEATS[name], tmp_path / name
        folder.mkdir()
        return "pays" if passes_naive_check(row["program"], SUITES[row["suite"]], folder) else "fails"

    asked = [name for name, row in CHEATS.items() if row["naive"] != "unsafe"]
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(asked, pool.map(naive, asked), strict=True))
    assert found == {name: CHEATS[name]["naive"] for name in asked}
    assert sum(outcome == "pays" for outcome in found.values()) >= 40
