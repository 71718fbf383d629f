"""What a run of a suite says: a result for every test, or the reason why there is no verdict."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CaseResult:
    """The result of one test; `detail` says for people why it failed."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class SuiteReport:
    """The results of all tests of a suite.

    Attributes:
        tests: in the suite's order; empty exactly if there is an `error`.
        error: why there is no verdict: the tests or the sandbox are at fault, not the answer. None otherwise.
        broken_tests: whether that is the tests' own fault, so that no answer can be judged by them.
    """

    tests: tuple[CaseResult, ...] = ()
    error: str | None = None
    broken_tests: bool = False

    @property
    def passed_fraction(self) -> float | None:
        """Passed tests of all, 0 to 1; None without a verdict."""
        return sum(test.passed for test in self.tests) / len(self.tests) if self.tests else None

    @property
    def passed(self) -> bool:
        """Whether there is a verdict and every test passed."""
        return bool(self.tests) and all(test.passed for test in self.tests)
