"""Section `tests`: the reward that runs a problem's own unit tests. The sandbox has a section of its own."""

from typing import ClassVar, Literal

from pydantic import Field

from coderm_slime.settings.failures import FailureSettings
from coderm_slime.settings.rm import Thinking

TestRule = Literal["fraction", "all"]


class TestsSettings(FailureSettings):
    """How tests become a reward. The scale is the reward model's: `rm.clip` and `rm.shaping` hold for tests, too.

    Attributes:
        rule: `fraction` maps the part f of tests passed to clip * (2f - 1); `all` gives clip if every test passes,
            else -clip.
        policy_path, thinking: as in section `rm`.
        suite_s: seconds for one answer's tests, after which those that are not done have failed.
        memory_mb: memory of the answer's process, in MB; its tests have as much again.
        deadline_s: seconds until an answer's verdict, waiting for a free place in the sandbox included; after them the
            sample has no score.
    """

    __test__: ClassVar[bool] = False  # no test class, whatever pytest makes of the name
    section: ClassVar[str] = "tests"

    rule: TestRule = "fraction"
    policy_path: str | None = None
    thinking: Thinking = "auto"
    suite_s: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    memory_mb: int = Field(default=1024, ge=64)
    deadline_s: float = Field(default=600.0, gt=0, allow_inf_nan=False)
