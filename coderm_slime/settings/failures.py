"""What every section that gives rewards says about samples without one."""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

OnFailure = Literal["auto", "abstain", "raise"]


class FailureSettings(BaseModel):
    """What a sample that cannot be scored does.

    Attributes:
        section: the key below `coderm:` that the settings stand under, for messages.
        on_failure: `abstain` takes it out of loss and group, which in slime needs
            `reward.post_process.normalize_groups`; `raise` stops the run; `auto` abstains where that is configured,
            and in TRL.
        max_failure_rate: above this part of the last 512 samples (counted from 64) the run stops in any case.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    section: ClassVar[str]

    on_failure: OnFailure = "auto"
    max_failure_rate: float = Field(default=0.05, ge=0, le=1)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_boolean(cls, value: Any) -> Any:
        if isinstance(value, bool):  # it would count as 1 or 0
            raise ValueError("true and false mean nothing here; in YAML, yes, no, on and off are booleans, too")
        return value
