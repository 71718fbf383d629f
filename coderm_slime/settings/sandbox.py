"""Section `sandbox`: who runs untrusted Python, how it is isolated, by which interpreter, how many at a time."""

import os
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coderm_slime.access import Url
from coderm_slime.settings.fields import COMMAS

LayerName = Literal[
    "session", "subreaper", "rlimits", "uid", "no_new_privs", "landlock", "landlock_scope", "seccomp", "tmpfs"
]
Backend = Literal["local", "docker", "http"]
REQUIRED: tuple[LayerName, ...] = ("session", "subreaper", "rlimits", "uid", "no_new_privs", "landlock", "seccomp")
_MAX_UID = 1 << 31  # far from 2**32 - 1, which stands for "no change"


Layers = Annotated[tuple[LayerName, ...], COMMAS]


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
        backend: `local` isolates here, `docker` in containers, `http` asks the service at `url`. What follows is for
            these two, what stands above, but `workers`, for `local`.
        url: base address of `coderm sandbox serve`, or of a SandboxFusion service.
        api_key_variable: environment variable that holds the service's bearer token, here and where it is served; the
            token itself is never a setting.
        wait_s: seconds that a run may wait for its turn at the service, besides its own limit.
        image: of the containers; it must have `python` and is never downloaded.
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
    backend: Backend = "local"
    url: Url | None = None
    api_key_variable: str = "CODERM_SANDBOX_API_KEY"
    wait_s: float = Field(default=600.0, gt=0, allow_inf_nan=False)
    image: str = Field(default="python:3.11-slim", pattern=r"^[a-zA-Z0-9]")

    @model_validator(mode="after")
    def _pairs_fit(self) -> "SandboxSettings":
        if self.backend == "http" and self.url is None:
            raise ValueError("backend='http' needs url, the service's base address")
        return self

    @property
    def pool_size(self) -> int:
        """`workers`, or what stands for None."""
        return self.workers or _cpus()
