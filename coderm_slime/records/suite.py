"""A data set's own tests of one problem, brought to one form: what is run, and what counts as one test."""

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coderm_slime.records.base import Record


class SuiteKind(str, Enum):
    """How the tests are meant to be run.

    ASSERTS: each of `tests` is source that fails by an exception; `setup` is run once before them and may define what
    they call (HumanEval: `setup` defines `check`, the one test is `check(entry_point)`).
    PYTEST: each of `tests` is a whole test file that imports from `solution` or uses its names bare.
    STDIO: the answer is a program that reads stdin and writes stdout; one of `cases` is one run.
    CALLS: the entry point is called with each case's arguments; both sides are JSON.
    """

    ASSERTS = "asserts"
    PYTEST = "pytest"
    STDIO = "stdio"
    CALLS = "calls"


class Case(BaseModel):
    """An input and the output that is right: texts (STDIO), or a JSON list of arguments and a JSON value (CALLS)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: str
    output: str


class Suite(Record):
    """The tests of one problem; at least one.

    Attributes:
        entry_point: the name that the tests call; None where they find it themselves.
    """

    kind: SuiteKind
    entry_point: str | None = None
    setup: str = ""
    tests: tuple[str, ...] = ()
    cases: tuple[Case, ...] = Field(default=())

    @model_validator(mode="after")
    def _what_its_kind_needs(self) -> "Suite":
        by_cases = self.kind in (SuiteKind.STDIO, SuiteKind.CALLS)
        if bool(self.cases) != by_cases or bool(self.tests) == by_cases:
            needed = "cases and no tests" if by_cases else "tests and no cases"
            raise ValueError(f"a suite of kind '{self.kind.value}' has {needed}")
        if self.kind is SuiteKind.CALLS and not self.entry_point:
            raise ValueError("a suite of kind 'calls' names its entry_point")
        return self
