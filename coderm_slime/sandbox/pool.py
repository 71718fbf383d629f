"""The pool: a stated number of workers, runs in the order in which they were asked for."""

import asyncio
import shutil
import tempfile
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coderm_slime.sandbox.backend import open_sandbox
from coderm_slime.sandbox.program import Program, Result, SandboxError
from coderm_slime.sandbox.runtime import Runtime
from coderm_slime.sandbox.server import ForkServer, Layer
from coderm_slime.settings.sandbox import SandboxSettings


class _Worker:
    """A place for one run at a time, with a fork server for each set of imports, started when first needed."""

    def __init__(self, runtime: Runtime, settings: SandboxSettings, scratch: Path) -> None:
        self._runtime, self._settings, self._scratch = runtime, settings, scratch
        self._servers: dict[tuple[str, ...], ForkServer] = {}

    async def server(self, imports: tuple[str, ...]) -> ForkServer:
        server = self._servers.get(imports)
        if server is None or not server.alive:
            await asyncio.to_thread(self._runtime.provide, imports)
            server = await ForkServer.start(self._runtime, self._settings, self._scratch, imports)
            self._servers[imports] = server
        return server

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self._servers.values()))


class Sandbox:
    """Runs untrusted programs, `settings.pool_size` at a time. Use as `async with`, in one event loop.

    Attributes:
        layers: what isolates the runs here, and what is missing.
        python: the interpreter that runs the programs; `runtime.copied_from` tells whether it is a copy.
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self._settings = settings or SandboxSettings()
        self.size = self._settings.pool_size
        self.layers: tuple[Layer, ...] = ()
        self._waiting: deque[tuple[int, asyncio.Future[list[_Worker]]]] = deque()
        self._free: list[_Worker] = []
        self._workers: tuple[_Worker, ...] = ()
        self._open = False

    async def __aenter__(self) -> "Sandbox":
        self.runtime = await asyncio.to_thread(Runtime.find, self._settings)
        self._scratch = await asyncio.to_thread(_make_scratch, self._settings)
        self._workers = tuple(_Worker(self.runtime, self._settings, self._scratch) for _ in range(self.size))
        self._free = list(self._workers)
        self._open = True
        try:
            first = await self._workers[0].server(())
            self.layers = first.layers
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End what runs and remove everything. Runs that wait end in a SandboxError."""
        self._open = False
        while self._waiting:
            turn = self._waiting.popleft()[1]
            if not turn.done():
                turn.set_exception(SandboxError("the sandbox was closed while the run waited for a worker"))
        await asyncio.gather(*(worker.close() for worker in self._workers))
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)

    async def run(self, program: Program) -> Result:
        """Run one program, when its turn comes, once.

        Raises:
            SandboxError: the sandbox failed: no verdict on the program. It is not run again by itself.
        """
        return (await self.run_together([program]))[0]

    async def run_together(self, programs: Sequence[Program]) -> list[Result]:
        """Run programs that talk to each other: none starts before there is a worker for all of them.

        Raises:
            SandboxError: the sandbox failed for one of them; the others were ended.
        """
        payloads = [program.payload() for program in programs]
        workers = await self._take(len(programs))
        try:
            servers = [await worker.server(program.imports) for worker, program in zip(workers, programs, strict=True)]
            placed = zip(servers, programs, payloads, strict=True)
            return await _all_or_none([server.run(program, payload) for server, program, payload in placed])
        finally:
            self._give_back(workers)

    async def _take(self, count: int) -> list[_Worker]:
        if not self._open:
            raise SandboxError("the sandbox is not open: use it as `async with Sandbox(settings) as sandbox`")
        if count > self.size:
            raise SandboxError(f"{count} programs at once need as many workers; sandbox.workers is {self.size}")
        turn: asyncio.Future[list[_Worker]] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        self._serve_waiting()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back(turn.result())
            raise
        finally:
            self._serve_waiting()  # a turn that was cancelled may have stood before others
        return turn.result()

    def _give_back(self, workers: list[_Worker]) -> None:
        self._free.extend(workers)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        """First come, first served: a pair that waits for two workers is not overtaken."""
        while self._waiting:
            count, turn = self._waiting[0]
            if not turn.done():
                if count > len(self._free):
                    return
                turn.set_result([self._free.pop() for _ in range(count)])
            self._waiting.popleft()


async def _all_or_none(runs: Sequence[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results of all; where one fails, the others are ended before its error is raised."""
    if len(runs) == 1:  # most often so, and a task costs as much as the rest
        return [await runs[0]]
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise


def _make_scratch(settings: SandboxSettings) -> Path:
    """A new folder that every user may pass through, none may list."""
    base = Path(settings.scratch or tempfile.gettempdir())
    try:
        folder = Path(tempfile.mkdtemp(prefix="coderm-sandbox-", dir=base))
    except OSError as error:
        raise SandboxError(f"cannot make a folder in sandbox.scratch = {base}: {error}") from error
    folder.chmod(0o711)
    return folder


def run_sync(program: Program, settings: SandboxSettings | None = None) -> Result:
    """Run one program in a sandbox of its own, by the backend that `settings` name. Not for use within an event loop.

    Raises:
        SandboxError: as `Sandbox.run`.
    """

    async def one() -> Result:
        async with open_sandbox((settings or SandboxSettings()).model_copy(update={"workers": 1})) as sandbox:
            return await sandbox.run(program)

    return asyncio.run(one())


@dataclass(frozen=True)
class Probe:
    """What isolates programs on this machine, and which interpreter runs them, in words."""

    layers: tuple[Layer, ...]
    interpreter: str


def probe_sync(settings: SandboxSettings) -> Probe:
    """Open a sandbox, look, close it. Not for use within an event loop.

    Raises:
        SandboxError: as `Sandbox`, though not for layers that are missing.
    """

    async def look() -> Probe:
        names = tuple(layer for layer in settings.required)
        async with Sandbox(settings.model_copy(update={"workers": 1, "allow_missing": names})) as sandbox:
            return Probe(sandbox.layers, sandbox.runtime.description)

    return asyncio.run(look())
