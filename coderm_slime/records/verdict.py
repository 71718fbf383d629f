"""The verdict on one answer: a score, or the reason why there is none. Never a number that stands for a failure.

Scale: a score lies in [-clip, clip]. A floor is a judgement ("this answer is worthless") and scores as a logit of
-clip does; an abstention is no judgement and has no score. `REASONS` is the documented table of both.
"""

from enum import Enum
from typing import NamedTuple

from pydantic import Field, model_validator

from coderm_slime.records.base import Record


class Outcome(str, Enum):
    """What kind of verdict a reason gives."""

    SCORED = "scored"
    FLOOR = "floor"
    ABSTAINED = "abstained"


class Reason(str, Enum):
    """Why a verdict is what it is; the value is the metric's name."""

    SCORED = "scored"
    UNCLOSED_THOUGHT = "unclosed_thought"
    TRUNCATED = "truncated"
    EMPTY_ANSWER = "empty_answer"
    NO_CODE = "no_code"
    SYNTAX_ERROR = "syntax_error"
    TOO_LONG = "too_long"
    FAILED_TESTS = "failed_tests"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server_error"
    REJECTED = "rejected"
    BAD_REPLY = "bad_reply"
    WRONG_MODEL = "wrong_model"
    NO_TESTS = "no_tests"
    BROKEN_TESTS = "broken_tests"
    SANDBOX = "sandbox"


class ReasonFacts(NamedTuple):
    """The documented meaning of a reason, and what to do where it comes often."""

    outcome: Outcome
    meaning: str
    remedy: str = ""


_SCORED, _FLOOR, _ABSTAINED = Outcome.SCORED, Outcome.FLOOR, Outcome.ABSTAINED
REASONS: dict[Reason, ReasonFacts] = {
    Reason.SCORED: ReasonFacts(_SCORED, "the reward model's logit, or the part of tests passed, shaped"),
    Reason.UNCLOSED_THOUGHT: ReasonFacts(
        _FLOOR, "a thinking model never closed its thought; no call is made", "allow longer responses"
    ),
    Reason.TRUNCATED: ReasonFacts(
        _FLOOR, "cut off by the length limit before a code block was closed (robust)", "allow longer responses"
    ),
    Reason.EMPTY_ANSWER: ReasonFacts(_FLOOR, "nothing is left of the answer (robust)"),
    Reason.NO_CODE: ReasonFacts(_FLOOR, "no fenced Python block in the answer (robust)"),
    Reason.SYNTAX_ERROR: ReasonFacts(_FLOOR, "the answer's code does not parse (robust)"),
    Reason.TOO_LONG: ReasonFacts(
        _FLOOR,
        "even shortened to its code block the answer exceeds the limit, or it has no block to keep",
        "limit the response length",
    ),
    Reason.FAILED_TESTS: ReasonFacts(_FLOOR, "passes fewer of its tests than `hybrid.pass_threshold`"),
    Reason.TIMEOUT: ReasonFacts(
        _ABSTAINED,
        "no reply within `rm.deadline_s`, all attempts included",
        "a busy server: lower `rm.max_in_flight` or raise `rm.deadline_s`",
    ),
    Reason.UNREACHABLE: ReasonFacts(_ABSTAINED, "no connection, or it broke off", "check `rm.urls` and the server"),
    Reason.SERVER_ERROR: ReasonFacts(_ABSTAINED, "HTTP 5xx or 429 on every attempt", "read the server's log"),
    Reason.REJECTED: ReasonFacts(
        _ABSTAINED,
        "HTTP 4xx: the request itself is refused, so it is not repeated",
        "check that `rm.urls` serves a reward model, and the token in `rm.api_key_variable`",
    ),
    Reason.BAD_REPLY: ReasonFacts(
        _ABSTAINED,
        "no JSON, wrong count or order, or a score that is not finite",
        "check that `rm.urls` serves the checkpoint in `rm.model_path`",
    ),
    Reason.WRONG_MODEL: ReasonFacts(
        _ABSTAINED,
        "the server is no reward model, scores two different inputs alike, or no longer gives the known scores",
        "check `rm.urls`; a model frozen on GPUs that train needs SGLang's `enable_weights_cpu_backup: true`",
    ),
    Reason.NO_TESTS: ReasonFacts(
        _ABSTAINED,
        "the sample carries no tests that can be read",
        "put them into `label` or metadata, or let the model score such samples: `hybrid.rule: gate`",
    ),
    Reason.BROKEN_TESTS: ReasonFacts(
        _ABSTAINED, "the tests themselves do not run, whatever the answer", "mend the data or leave the row out"
    ),
    Reason.SANDBOX: ReasonFacts(
        _ABSTAINED, "the sandbox failed, so nothing is known of the answer", "`coderm doctor` says what it lacks"
    ),
}


class Verdict(Record):
    """The outcome of judging one answer.

    Attributes:
        score: shaped reward in [-clip, clip]; None exactly when the verdict abstains.
        reason: a key of `REASONS`.
        detail: what failed, for people; empty when scored.
        raw: the reward model's logit before shaping; None when it was not asked or did not answer.
        latency_s: seconds from request to verdict, waiting included.
        tokens: length of the rendered input in tokens; 0 when nothing was rendered.
        shortened: whether the input had to be shortened to fit (`chat.Renderer.fit`).
        valid: whether the answer has a code block that parses; None where nobody looked.
        passed, tests: tests passed, and tests in all; None where none were run.
    """

    score: float | None
    reason: Reason
    detail: str = ""
    raw: float | None = None
    latency_s: float = Field(default=0.0, ge=0)
    tokens: int = Field(default=0, ge=0)
    shortened: bool = False
    valid: bool | None = None
    passed: int | None = Field(default=None, ge=0)
    tests: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _score_fits_reason(self) -> "Verdict":
        if (self.score is None) != (self.outcome is Outcome.ABSTAINED):
            raise ValueError(f"score={self.score} does not fit reason '{self.reason.value}' ({self.outcome.value})")
        return self

    @property
    def outcome(self) -> Outcome:
        """Scored, floor or abstained."""
        return REASONS[self.reason].outcome
