"""The run fails on a skip that nobody explained."""

import shutil
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
SUITE = Path(__file__).parent
SKIPPING = """
import pytest

@pytest.mark.skip(reason="why not")
def test_left_out():
    pass

def test_run():
    pass
"""


def run(pytester: pytest.Pytester, allowed: str) -> pytest.RunResult:
    shutil.copy(SUITE / "conftest.py", pytester.path / "conftest.py")
    (pytester.path / "allowed_skips.txt").write_text(allowed)
    pytester.makepyfile(test_it=SKIPPING)
    return pytester.runpytest_subprocess()


def test_an_unlisted_skip_fails_the_run_and_is_named(pytester: pytest.Pytester) -> None:
    result = run(pytester, "")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*does not list it with a reason: test_it.py::test_left_out"])


def test_a_listed_skip_passes(pytester: pytest.Pytester) -> None:
    assert run(pytester, "test_it.py::test_left_out  # tried elsewhere").ret == pytest.ExitCode.OK


def test_a_listed_skip_without_a_reason_fails(pytester: pytest.Pytester) -> None:
    assert run(pytester, "test_it.py::test_left_out").ret == pytest.ExitCode.TESTS_FAILED
