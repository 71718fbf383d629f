"""One container for one program: start it, run the program, remove it. Knows nothing of the pool."""

import asyncio
import base64
import contextlib
import json
import logging
import math
import secrets
import signal
import struct
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from coderm_slime.sandbox.docker import inside
from coderm_slime.sandbox.docker.output import Output, OutputFull
from coderm_slime.sandbox.program import Ending, Program, Result, SandboxError

LAYER = "docker"
MEMORY_BYTES = 2 << 30
DISK_BYTES = 64 << 20
PROCESSES = 64
_OWN_PROCESSES = 8  # of the container itself: its init, and the first process with its threads
_START_S = 60.0  # a cold image on a busy disk
_END_S = 5.0  # from the end of its program, or of its stdin, to the end of a container
_REMOVE_S = 30.0
_ERROR_BYTES = 2000
_CHUNK_BYTES = 1 << 16
_SIGNAL_BASE = 128  # docker's exit code less this is a signal
_HEAD = struct.Struct(">BI")
_INSIDE = Path(inside.__file__).read_text(encoding="utf-8")
_ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
_ENDINGS_BY_SIGNAL = {int(signal.SIGXCPU): Ending.TIMEOUT, int(signal.SIGKILL): Ending.KILLED}
_log = logging.getLogger(__name__)


class Container:
    """A running container. `start` makes one."""

    def __init__(self, name: str, process: Process) -> None:
        self._name, self._process = name, process
        self._errors = asyncio.ensure_future(_last_of(process.stderr))
        self._busy = self._begun = self._reading = False

    @classmethod
    async def start(cls, image: str, label: str) -> "Container":
        """Start one and wait until it can take a program.

        Raises:
            SandboxError: it does not start.
        """
        name = f"coderm-sandbox-{secrets.token_hex(16)}"
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(name, image, label), stdin=PIPE, stdout=PIPE, stderr=PIPE
            )
        except OSError as error:
            raise SandboxError(f"sandbox.backend = docker needs the command `docker`: {error}") from error
        container = cls(name, process)
        try:
            kind, _ = await asyncio.wait_for(container._frame(), _START_S)
            if kind != inside.READY:
                raise SandboxError(f"the container {name} began with a frame of kind {kind}")
        except (asyncio.IncompleteReadError, asyncio.TimeoutError):
            await container.remove()
            why = await container._errors or f"nothing came within {_START_S:.0f} s"
            raise SandboxError(f"no container of sandbox.image = {image}: {why.strip()}") from None
        except BaseException:
            await container.remove()
            raise
        return container

    async def run(self, program: Program) -> Result:
        """Run its one program. The container must be removed afterwards.

        Raises:
            SandboxError: the container or the engine failed.
        """
        self._busy = True
        job = _job(program)
        output = Output(program.limits)
        began = time.monotonic()
        code, cpu_s = None, math.nan
        try:
            assert self._process.stdin
            self._process.stdin.write(struct.pack(">Q", len(job)) + job)
            code, cpu_s = await asyncio.wait_for(self._follow(output), program.limits.wall_s)
            ending = _ending(code)
            self._busy = False
        except asyncio.TimeoutError:
            ending = Ending.TIMEOUT
        except OutputFull:
            ending = Ending.OUTPUT_LIMIT
        except asyncio.IncompleteReadError:
            code, ending = await self._killed(), Ending.KILLED
        by_signal = code is not None and code < 0
        return Result(
            **output.fields(),
            ending=ending,
            exit_code=None if by_signal else code,
            signal=-code if code is not None and by_signal else None,
            wall_s=time.monotonic() - began,
            cpu_s=cpu_s,
            layers=(LAYER,),
        )

    async def remove(self) -> None:
        """End the container and wait until it is gone."""
        assert self._process.stdin
        self._process.stdin.close()
        pipes = asyncio.gather(self._errors, self._drain())
        if self._busy or not await self._ended(_END_S):
            await self._remove_by_force()
        await asyncio.wait((pipes,), timeout=_END_S)

    async def _follow(self, output: Output) -> tuple[int, float]:
        """Take the program's output until it has ended: its exit status and its seconds of processor time."""
        while True:
            kind, content = await self._frame()
            if kind in (inside.STDOUT, inside.STDERR):
                output.add(kind == inside.STDERR, content)
            elif kind == inside.BEGUN:
                self._begun = True
            elif kind == inside.END:
                code, cpu_s = struct.unpack(">id", content)
                return code, cpu_s
            else:
                raise SandboxError(f"the container could not begin the run: {content.decode('utf-8', 'replace')}")

    async def _frame(self) -> tuple[int, bytes]:
        assert self._process.stdout
        self._reading = True
        try:
            kind, size = _HEAD.unpack(await self._process.stdout.readexactly(_HEAD.size))
            return kind, await self._process.stdout.readexactly(size)
        finally:
            self._reading = False

    async def _killed(self) -> int:
        """The negative number of the signal that ended the container's first process, which told no end."""
        await self._ended(_END_S)
        code = self._process.returncode
        if self._begun and code is not None and code > _SIGNAL_BASE:
            return _SIGNAL_BASE - code
        said = (await self._errors).strip() if code is not None else ""
        raise SandboxError(
            f"the container {self._name} is gone, docker ended with {code}; the run it had is not repeated. {said}"
        )

    async def _ended(self, within_s: float) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait(), within_s)
        return self._process.returncode is not None

    async def _drain(self) -> None:
        """Read what nobody wants any more: asyncio closes a pipe at its end only. A run under way reads its own."""
        assert self._process.stdout
        while not self._reading and await self._process.stdout.read(_CHUNK_BYTES):
            pass

    async def _remove_by_force(self) -> None:
        command = ("docker", "rm", "--force", self._name)
        removing = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
        try:
            errors = (await asyncio.wait_for(removing.communicate(), _REMOVE_S))[1].decode("utf-8", "replace").strip()
        except asyncio.TimeoutError:
            removing.kill()
            errors = f"no answer within {_REMOVE_S:.0f} s"
        if removing.returncode != 0 and self._process.returncode is None:
            _log.warning("the container %s may still be there: %s", self._name, errors)
        if not await self._ended(_END_S):
            self._process.kill()


def _command(name: str, image: str, label: str) -> list[str]:
    return [
        *("docker", "run", "--interactive", "--rm", "--init", "--name", name, "--label", label, "--pull", "never"),
        *("--network", "none", "--ipc", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--user", "65534:65534", "--read-only", "--tmpfs", f"/tmp:rw,nosuid,nodev,noexec,size={DISK_BYTES}"),
        *("--memory", str(MEMORY_BYTES), "--memory-swap", str(MEMORY_BYTES), "--cpus", "1"),
        *("--pids-limit", str(PROCESSES + _OWN_PROCESSES), "--workdir", "/tmp", "--log-driver", "none"),
        *("--entrypoint", "python", image, "-I", "-c", _INSIDE),
    ]


def _job(program: Program) -> bytes:
    limits = program.limits
    cpu_s = math.ceil(limits.cpu_s)
    files = {name: base64.b64encode(content).decode() for name, content in program.payload().items()}
    return json.dumps(
        {
            "files": files,
            "stdin": base64.b64encode(program.stdin).decode(),
            "arguments": list(program.arguments),
            "environment": _ENVIRONMENT,
            "rlimits": {
                "RLIMIT_AS": (limits.memory_bytes,) * 2,
                "RLIMIT_CPU": (cpu_s, cpu_s + 1),
                "RLIMIT_FSIZE": (limits.file_bytes,) * 2,
                "RLIMIT_NOFILE": (limits.open_files,) * 2,
                "RLIMIT_CORE": (0, 0),
            },
        }
    ).encode()


def _ending(code: int) -> Ending:
    if code < 0:
        return _ENDINGS_BY_SIGNAL.get(-code, Ending.SIGNAL)
    return Ending.EXIT_CODE if code else Ending.OK


async def _last_of(stream: asyncio.StreamReader | None) -> str:
    """The last that a stream brings, read to its end."""
    kept = b""
    while stream and (chunk := await stream.read(_CHUNK_BYTES)):
        kept = (kept + chunk)[-_ERROR_BYTES:]
    return kept.decode("utf-8", "replace")
