"""Why a step came to nothing: what a model answered, never that it could not be reached.

An endpoint that does not answer, or a sandbox that fails, says nothing about a problem: that stays an error of its own
kind (`HttpError`, `SandboxError`), the problem stays as it was, and a later run goes on with it.
"""

from enum import Enum


class FailureReason(str, Enum):
    """What was wrong with every one of a step's answers; of the last one, where they differ."""

    LENGTH = "length"
    NO_CODE = "no_code"
    SEVERAL_BLOCKS = "several_blocks"
    SYNTAX_ERROR = "syntax_error"
    NO_ENTRY_POINT = "no_entry_point"
    CHANGED_CODE = "changed_code"
    NOT_FROM_PREFIX = "not_from_prefix"
    NOTHING_ADDED = "nothing_added"
    NO_CALLS = "no_calls"
    NO_GRADE = "no_grade"
    TOO_LONG = "too_long"
    NO_SOLUTION = "no_solution"


class StepFailed(Exception):
    """A step's tries are used up without a result.

    Attributes:
        detail: what the last try gave, in short.
    """

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason, self.detail = reason, detail
