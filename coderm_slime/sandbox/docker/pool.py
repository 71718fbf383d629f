"""Containers that stand ready, one for each worker; a program takes the next one, and never gives it back."""

import asyncio
import secrets
from collections.abc import Sequence

from coderm_slime.sandbox.backend import only_one
from coderm_slime.sandbox.docker.container import DISK_BYTES, LAYER, MEMORY_BYTES, PROCESSES, Container
from coderm_slime.sandbox.program import Program, Result, SandboxError
from coderm_slime.sandbox.server import Layer
from coderm_slime.settings.sandbox import SandboxSettings

_CLOSED = "the sandbox is closed, or was not opened: use it as `async with open_sandbox(settings) as sandbox`"


class DockerSandbox:
    """Runs programs in containers of `settings.image`, `size` at a time. Use as `async with`, in one event loop.

    Attributes:
        size: `settings.workers`, or one for each processor.
        layers: one, the containers.
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self.size = settings.pool_size
        detail = f"{settings.image}: no network, no capabilities, read-only, memory, processes and disk limited"
        self.layers: tuple[Layer, ...] = (Layer(LAYER, True, detail),)
        self._image, self._label = settings.image, f"coderm-slime.sandbox={secrets.token_hex(8)}"
        self._open = False

    async def __aenter__(self) -> "DockerSandbox":
        """Start the containers; the others go on starting once the first is there.

        Raises:
            SandboxError: there is no engine, or no such image.
        """
        self._starting: asyncio.Queue[asyncio.Task[Container] | None] = asyncio.Queue()  # None: it is closed
        self._live: set[asyncio.Task[Container]] = set()
        self._removing: set[asyncio.Task[None]] = set()
        self._open = True
        for _ in range(self.size):
            self._start_another()
        first = self._starting.get_nowait()
        assert first is not None
        self._starting.put_nowait(first)
        try:
            await asyncio.shield(first)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Remove all containers. Programs that run or wait end in a SandboxError."""
        self._open = False
        while not self._starting.empty():
            self._starting.get_nowait()
        self._starting.put_nowait(None)
        for start in tuple(self._live):
            self._remove_soon(start)
        if self._removing:
            await asyncio.wait(self._removing)

    async def run(self, program: Program) -> Result:
        """Run one program, when its turn comes, once.

        Raises:
            SandboxError: the engine or the container failed, or such a program cannot run here: no verdict on it.
        """
        _check(program)
        if not self._open:
            raise SandboxError(_CLOSED)
        start = await self._starting.get()
        if start is None:
            self._starting.put_nowait(None)  # for the next one that waits
            raise SandboxError(_CLOSED)
        try:
            container = await asyncio.shield(start)
            result = await container.run(program) if self._open else None
            if result is None or not self._open:
                raise SandboxError(_CLOSED)
            return result
        finally:
            self._remove_soon(start)
            if self._open:
                self._start_another()

    async def run_together(self, programs: Sequence[Program]) -> list[Result]:
        """Run one program; several are refused.

        Raises:
            SandboxError: as `run`.
        """
        return [await self.run(only_one(programs, "docker"))]

    def _start_another(self) -> None:
        start = asyncio.ensure_future(Container.start(self._image, self._label))
        self._live.add(start)
        self._starting.put_nowait(start)

    def _remove_soon(self, start: "asyncio.Task[Container]") -> None:
        if start not in self._live:
            return
        self._live.discard(start)

        async def remove() -> None:
            await asyncio.wait((start,))
            if start.exception() is None:
                await start.result().remove()

        task = asyncio.ensure_future(remove())
        self._removing.add(task)
        task.add_done_callback(self._removing.discard)


def _check(program: Program) -> None:
    """Refuse what a container cannot do."""
    if program.channels:
        raise SandboxError("a program with channels cannot run in a container; use sandbox.backend = local")
    limits = program.limits
    fixed = {"memory_bytes": MEMORY_BYTES, "disk_bytes": DISK_BYTES, "processes": PROCESSES}
    for name, most in fixed.items():
        if getattr(limits, name) > most:
            raise SandboxError(f"Limits.{name} = {getattr(limits, name)} is above the {most} that a container has")
    program.payload()
