"""Section `hybrid`: reward model and unit tests in one reward."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from coderm_slime.settings.failures import FailureSettings

HybridRule = Literal["weights", "gate", "threshold"]


class HybridSettings(FailureSettings):
    """How the two verdicts become one. Both are on the scale that `rm.clip` and `rm.shaping` set.

    Attributes:
        rule: `weights` takes the weighted mean, and no score where either has none; `gate` lets the tests decide where
            a sample has tests and asks the model elsewhere; `threshold` gives the model's score to an answer that
            passes enough of its tests, and the floor to any other.
        rm_weight, tests_weight: for `weights`; only their ratio counts.
        pass_threshold: for `threshold`: the part of the tests that has to pass.
    """

    section: ClassVar[str] = "hybrid"

    rule: HybridRule = "gate"
    rm_weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    tests_weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    pass_threshold: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _something_counts(self) -> "HybridSettings":
        if self.rm_weight + self.tests_weight == 0:
            raise ValueError("rm_weight and tests_weight are both 0: one of them has to count")
        return self
