"""Section `sandbox`: how untrusted Python is isolated, by which interpreter it runs, and how many at a time."""

import os
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

LayerName = Literal[
    "session", "subreaper", "rlimits", "uid", "no_new_privs", "landlock", "landlock_scope", "seccomp", "tmpfs"
]
REQUIRED: tuple[LayerName, ...] = ("session", "subreaper", "rlimits", "uid", "no_new_privs", "landlock", "seccomp")
_MAX_UID = 1 << 31  # far from 2**32 - 1, which stands for "no change"


def _split_commas(value: Any) -> Any:
    """`CODERM_SANDBOX__ALLOW_MISSING=uid,landlock` names two layers."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Layers = Annotated[tuple[LayerName, ...], BeforeValidator(_split_commas)]


def _cpus() -> int:
    """The processors that this process may use; two at least, since a pair of programs takes two workers."""
    return max(2, len(os.sched_getaffinity(0)))


class SandboxSettings(BaseModel):
    """How untrusted programs run.

    Attributes:
        workers: programs that run at the same time; further ones queue. None: one for each processor, at least 2.
        python: path of the interpreter that runs them; None: the one that runs this.
        required: layers without which nothing runs. `uid` is required of root alone: others cannot change it.
        allow_missing: layers of `required` that may be missing all the same, each named.
        uid_first: the first user id of `uid_count` ones that nobody else on the machine uses; each worker of root's
            takes one.
        uid_count: how many those are.
        scratch: folder in which each run's private folder lies; None: the system's folder for temporary files.
        cache: folder for a copy of the interpreter where the sandbox's user id cannot read the original; None:
            /var/cache/coderm-slime.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int | None = Field(default=None, ge=1)
    python: str | None = None
    required: Layers = REQUIRED
    allow_missing: Layers = ()
    uid_first: int = Field(default=61000, ge=1000, lt=_MAX_UID)
    uid_count: int = Field(default=1000, ge=1, le=100_000)
    scratch: str | None = None
    cache: str | None = None

    @property
    def pool_size(self) -> int:
        """`workers`, or what stands for None."""
        return self.workers or _cpus()
