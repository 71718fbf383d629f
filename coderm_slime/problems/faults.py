"""Why a row of a data set gives no problem, or a text no tests: a closed list, so that it can be counted."""

from enum import Enum

from pydantic import ValidationError

from coderm_slime.errors import CodermError


class Fault(str, Enum):
    """What is wrong with a row. The value is the name under which users see it counted."""

    NOT_A_ROW = "not a JSON object"
    NOT_WRITABLE = "not writable as JSON"  # lone surrogates, bytes, nested without end
    BAD_FIELD = "a field is missing or bad"
    NOT_PYTHON = "not Python"
    NO_TESTS = "no tests"
    UNREADABLE_TESTS = "tests that could not be read"


class ProblemError(CodermError):
    """A row or a text from which no problem, or no suite, can be made. The text says what was looked for."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


def shown(error: ValidationError) -> str:
    """The first of `error`'s complaints as `field: complaint`, without the value, which may be megabytes."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
