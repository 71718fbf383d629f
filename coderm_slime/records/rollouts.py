"""What a search did: how it chose, what each evaluation said. Parts of a `SearchTree`; nothing is searched here."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Action = Literal["begin", "expand", "evaluate"]
Rule = Literal["initial_path", "first_pass", "root", "spare_branch", "widening", "uct"]

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Evaluation(BaseModel):
    """One execution of a whole response and the judge's word on it.

    Attributes:
        rollout: number of the rollout that made it; 0 is the initial path's.
        reward: what is backed up, in [0, 1].
        grade: the judge's mean grade on its scale from 0 to 5 (method step 8).
        spread: standard deviation of the grade over the judge's samples; None of a single one.
        analysis: the judge's words, of the first sample.
        output: what the sample calls printed, as the judge saw it.
        ending: how the run ended, a value of the sandbox's `Ending`.
    """

    model_config = _FROZEN

    rollout: int = Field(ge=0)
    reward: float = Field(ge=0, le=1)
    grade: float = Field(ge=0, le=5)
    spread: float | None = Field(default=None, ge=0)
    analysis: str
    output: str
    ending: str


class Choice(BaseModel):
    """One UCT decision: the children of `parent` with their scores when it was made, and the one that was taken."""

    model_config = _FROZEN

    parent: int = Field(ge=0)
    children: tuple[int, ...] = Field(min_length=1)
    scores: tuple[float, ...] = Field(min_length=1)
    chosen: int

    @model_validator(mode="after")
    def _fits(self) -> "Choice":
        if len(self.children) != len(self.scores) or self.chosen not in self.children:
            raise ValueError(f"{self.chosen} of {self.children} with {len(self.scores)} scores is no choice")
        return self


class Selection(BaseModel):
    """What one rollout did, and why there.

    Attributes:
        node: the node that was expanded or whose response was evaluated again; the root for the initial path.
        rule: what led there; `choices` are the UCT decisions on the way, none where the schedule alone decided.
        leaf: the node where the rollout's response ends; None if it failed.
        failure: why it failed; empty if it did not. A failed rollout changes no N or Q.
    """

    model_config = _FROZEN

    rollout: int = Field(ge=0)
    action: Action
    node: int = Field(ge=0)
    rule: Rule
    choices: tuple[Choice, ...] = ()
    leaf: int | None = None
    failure: str = ""

    @model_validator(mode="after")
    def _ended_one_way(self) -> "Selection":
        if (self.leaf is None) != bool(self.failure):
            raise ValueError(f"rollout {self.rollout} has leaf {self.leaf} and failure {self.failure!r}: one of both")
        return self
