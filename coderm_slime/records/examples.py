"""A problem, and the two kinds of reward-model training rows made from it."""

import hashlib
from typing import Any

from pydantic import Field, model_validator

from coderm_slime.records.base import Record
from coderm_slime.records.suite import Suite
from coderm_slime.records.verdict import Verdict


def problem_key(problem: str) -> str:
    """A stable 16-hex-digit name of a problem's text, white space folded: what data is split and grouped by."""
    return hashlib.sha256(" ".join(problem.split()).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class _ProblemRow(Record):
    """A row with a problem statement, which foreign files call `problem` or `prompt`."""

    problem: str = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _accept_prompt(cls, row: Any) -> Any:
        if isinstance(row, dict) and "problem" not in row and "prompt" in row:
            return {"problem" if key == "prompt" else key: value for key, value in row.items()}
        return row

    @property
    def key(self) -> str:
        """`problem_key` of this row's problem: rows of one problem share it, whatever file they came from."""
        return problem_key(self.problem)


class Problem(_ProblemRow):
    """A programming task. What its data set lacks is None.

    Attributes:
        solution: a bare program.
        test: the data set's own test source; program and test, joined by a newline, run as one file.
        suite: the same tests in the form that can be run and counted one by one; it may have no `test` form.
    """

    id: str = Field(min_length=1)
    entry_point: str | None = None
    solution: str | None = None
    test: str | None = None
    suite: Suite | None = None


class Candidate(_ProblemRow):
    """An answer that waits for its score: a response as generated, or a bare program; `id` may be missing."""

    id: str = Field(default="", coerce_numbers_to_str=True)
    response: str | None = None
    program: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Candidate":
        if (self.response is None) == (self.program is None):
            raise ValueError("a row has either `response` (as generated) or `program` (bare code)")
        return self


class ScoredCandidate(Record):
    """A candidate's verdict under its id; `input_key` hashes all that the verdict depends on here."""

    id: str = Field(min_length=1)
    input_key: str
    verdict: Verdict


class ScalarExample(_ProblemRow):
    """A response, or its prefix cut after a segment, with its search statistics (paper section 3).

    Attributes:
        q: sum of the rewards backed up through this prefix, in [0, n].
        n: number of evaluations behind `q`, at least 1.
    """

    response: str = Field(min_length=1)
    q: float = Field(ge=0)
    n: int = Field(ge=1)

    @model_validator(mode="after")
    def _q_within_n(self) -> "ScalarExample":
        if self.q > self.n * (1 + 1e-6):  # rewards lie in [0, 1]; the margin is for sums of floats
            raise ValueError(f"q={self.q} exceeds n={self.n}: a reward above 1 was backed up")
        return self

    @property
    def label(self) -> float:
        """The regression target, min(q / n, 1)."""
        return min(self.q / self.n, 1.0)


class PairExample(_ProblemRow):
    """Two responses (or bare programs, see `chat.as_response`) to one problem, the first one better.

    Attributes:
        chosen_label, rejected_label: q/n of each side where a search made the pair, else None.
        chosen_n, rejected_n: evaluations behind each label.
    """

    chosen: str = Field(min_length=1)
    rejected: str = Field(min_length=1)
    chosen_label: float | None = Field(default=None, ge=0, le=1)
    rejected_label: float | None = Field(default=None, ge=0, le=1)
    chosen_n: int = Field(default=1, ge=1)
    rejected_n: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _sides_differ(self) -> "PairExample":
        if self.chosen == self.rejected:
            raise ValueError("chosen and rejected are the same text")
        if (
            self.chosen_label is not None
            and self.rejected_label is not None
            and self.chosen_label <= self.rejected_label
        ):
            raise ValueError(f"chosen_label={self.chosen_label} is not above rejected_label={self.rejected_label}")
        return self
