"""What every sandbox can do, and which one the settings name."""

import os
from collections.abc import Sequence
from typing import Protocol, TypeVar

from coderm_slime.access import fits_a_header
from coderm_slime.sandbox.program import Program, Result, SandboxError
from coderm_slime.sandbox.server import Layer
from coderm_slime.settings.sandbox import SandboxSettings

S = TypeVar("S")


class SandboxBackend(Protocol):
    """Runs untrusted programs. Use as `async with`, in one event loop.

    Attributes:
        size: programs that run at the same time; known once it is open.
        layers: what isolates the runs, as far as the backend knows.
    """

    size: int
    layers: tuple[Layer, ...]

    async def __aenter__(self: S) -> S: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def run(self, program: Program) -> Result:
        """Run one program, once. Raises SandboxError, which is no verdict on the program."""

    async def run_together(self, programs: Sequence[Program]) -> list[Result]:
        """Run programs that talk to each other. Raises SandboxError, always so where only single ones are run."""


def open_sandbox(settings: SandboxSettings) -> SandboxBackend:
    """The sandbox that `settings.backend` names, for use as `async with open_sandbox(settings) as sandbox`."""
    if settings.backend == "http":
        from coderm_slime.sandbox.remote import RemoteSandbox

        return RemoteSandbox(settings)
    if settings.backend == "docker":
        from coderm_slime.sandbox.docker import DockerSandbox

        return DockerSandbox(settings)
    from coderm_slime.sandbox.pool import Sandbox

    return Sandbox(settings)


def only_one(programs: Sequence[Program], backend: str) -> Program:
    """The one program, for a backend where programs cannot talk to each other.

    Raises:
        SandboxError: there are several.
    """
    if len(programs) != 1:
        raise SandboxError(
            f"{len(programs)} programs cannot run together by sandbox.backend = {backend}; programs that talk to each "
            "other need sandbox.backend = local"
        )
    return programs[0]


def token_in_environment(settings: SandboxSettings) -> str | None:
    """The bearer token that the variable `settings.api_key_variable` holds; None if it is not set.

    Raises:
        SandboxError: it cannot stand in a header.
    """
    token = os.environ.get(settings.api_key_variable, "").strip()
    if not fits_a_header(token):
        raise SandboxError(f"the token in the variable {settings.api_key_variable} has characters no header may have")
    return token or None
