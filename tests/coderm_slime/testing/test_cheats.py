"""Ways to cheat a problem's tests: none earns a point, and a check of the exit status would have paid most of them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coderm_slime.records import Suite, SuiteKind
from coderm_slime.testing import SuiteReport
from helpers.cheats import CHEATS, PAYS, UNSAFE
from helpers.suites import run_all

HONEST = "import math\ndef add(a, b):\n    if a is None: raise ValueError\n    return a + b\ndef half(x): return x / 2\ndef odds(n): return set(range(1, n, 2))\ndef name(n): return 'ab'\n"  # noqa: E501
ORDER = "def order(x):\n    if hasattr(x, 'send'): x.send([1, 3])\n    if hasattr(x, 'items'):\n        x.items = [1, 3]\n        return x.items\n    return [1, 3] if callable(x) else sorted(x)\n"  # noqa: E501


@pytest.fixture(scope="module")
def reports() -> dict[str, SuiteReport]:
    return run_all(CHEATS)


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_earns_no_point(name: str, reports: dict[str, SuiteReport]) -> None:
    report = reports[name]
    assert not any(test.passed for test in report.tests), report
    assert report.error is None, report.error  # it is judged, too: cheating is no way out of a low score


def test_an_honest_answer_passes_the_same_suites() -> None:
    suites = {str(number): suite for number, suite in enumerate({id(s): s for _, s in CHEATS.values()}.values())}
    reports = run_all({name: (HONEST + ORDER, suite) for name, suite in suites.items()})
    assert all(report.passed for report in reports.values()), [r for r in reports.values() if not r.passed]


def passes_naive_check(program: str, suite: Suite, folder: Path) -> bool:
    """Whether program and tests in one process end with exit status 0."""
    command = [sys.executable, "-c", "\n".join([program, suite.setup, *suite.tests])]
    if suite.kind is SuiteKind.PYTEST:
        (folder / "solution.py").write_text(program)
        (folder / "test_it.py").write_text(suite.tests[0])
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def test_the_naive_check_would_have_paid_most_of_them(tmp_path: Path) -> None:
    def paid(item: tuple[str, tuple[str, Suite]]) -> bool:
        name, (program, suite) = item
        folder = tmp_path / name
        folder.mkdir()
        return passes_naive_check(program, suite, folder)

    asked = {name: case for name, case in CHEATS.items() if name not in UNSAFE}
    with ThreadPoolExecutor(4) as pool:
        found = {name for name, pays in zip(asked, pool.map(paid, asked.items()), strict=True) if pays}
    assert found == PAYS
