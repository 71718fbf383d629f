"""The caller's handle of one fork server: start it, give it one run at a time, notice its death, end it."""

import asyncio
import contextlib
import fcntl
import json
import mmap
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from coderm_slime.sandbox.inside import wire
from coderm_slime.sandbox.inside.capped import as_text, kept
from coderm_slime.sandbox.inside.wire import Cause, Reply, Request, State
from coderm_slime.sandbox.program import MAX_OUTPUT_BYTES, Ending, Program, Result, SandboxError
from coderm_slime.sandbox.runtime import Runtime
from coderm_slime.settings.sandbox import SandboxSettings

_START_S = 60.0  # imports from a cold disk; a server that takes longer is broken
_GRACE_S = 15.0  # beyond a run's own limit, in which the server ends what is left and clears the scratch folder
_STAGING_BYTES = 64 << 10
_BIND_NOW = {"LD_BIND_NOW": "1"}  # else each fork looks up the same symbols; programs do not see it
_NOTE_BYTES = 4
_OTHER_PROCESSES = 1024  # that the same user may start while the sandbox is open
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_BOOT = (
    "import sys; sys.path.insert(0, {0!r}); "
    "sys.dont_write_bytecode = False; "  # what compiling leaves in memory, each fork copies
    "import inside.server; inside.server.main(**{1!r})"
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
# What programs need beyond the interpreter: system libraries and tools, the loader's cache, the local time zone.
_READABLE = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime")
_ENDINGS = {
    Cause.TIMEOUT: Ending.TIMEOUT,
    Cause.OUTPUT: Ending.OUTPUT_LIMIT,
    Cause.DISK: Ending.DISK_LIMIT,
    Cause.CANCELLED: Ending.KILLED,
}
_ENDINGS_BY_SIGNAL = {int(signal.SIGXCPU): Ending.TIMEOUT, int(signal.SIGKILL): Ending.KILLED}


@dataclass(frozen=True)
class Layer:
    """One layer of isolation on this machine: `detail` says what it is where it is on, and why not where it is off."""

    name: str
    on: bool
    detail: str


class ForkServer:
    """A running fork server. `start` makes one.

    Attributes:
        layers: what isolates its runs, and what is missing.
    """

    _loop: asyncio.AbstractEventLoop
    _arrived: asyncio.Future[bytes]

    def __init__(self, runtime: Runtime, settings: SandboxSettings, scratch: Path, imports: tuple[str, ...]) -> None:
        self.layers: tuple[Layer, ...] = ()
        self._scratch = scratch
        memory_fd = _memory_file("coderm-output", 3 * MAX_OUTPUT_BYTES + _STAGING_BYTES)
        self._note_fd = _memory_file("coderm-note", _NOTE_BYTES)
        self._memory = mmap.mmap(memory_fd, 0)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        passed = (theirs.fileno(), memory_fd, self._note_fd)
        packages = runtime.packages(imports)
        options = wire.Options(
            control=passed[0],
            memory=passed[1],
            note=passed[2],
            scratch=str(scratch),
            own_path=str(Path(__file__).parent),
            packages=list(packages),
            imports=list(imports),
            readable=[*_READABLE, runtime.prefix, *packages],
            devices=list(_DEVICES),
            uid_first=settings.uid_first,
            uid_count=settings.uid_count,
            user_processes=_processes_of_user(),
        )
        command = [
            runtime.python,
            "-S",
            "-s",
            "-B",
            "-X",
            "utf8",
            "-c",
            _BOOT.format(options.own_path, options._asdict()),
        ]
        self._process = subprocess.Popen(
            command,
            env={**runtime.environment, **_BIND_NOW},
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        theirs.close()
        os.close(memory_fd)

    @classmethod
    async def start(
        cls, runtime: Runtime, settings: SandboxSettings, scratch: Path, imports: tuple[str, ...]
    ) -> "ForkServer":
        """Start one and check its layers.

        Raises:
            SandboxError: it does not start, or a required layer is missing.
        """
        server = await asyncio.to_thread(cls, runtime, settings, scratch, imports)
        server._loop = asyncio.get_running_loop()
        server._arrived = server._loop.create_future()
        server._loop.add_reader(server._control, server._take_message)
        try:
            hello = json.loads(await server._receive(_START_S))
            if "error" in hello:
                raise SandboxError(f"Program.imports = {imports}: {hello['error']}")
            server.layers = (
                *(Layer(name, True, detail) for name, detail in hello["on"].items()),
                *(Layer(name, False, reason) for name, reason in hello["off"].items()),
            )
            _refuse_missing(server.layers, settings)
        except BaseException:
            await server.close()
            raise
        return server

    async def run(self, program: Program, payload: dict[str, bytes]) -> Result:
        """Run one program. Cancelled, it ends the program before it returns.

        Raises:
            SandboxError: the server died or failed. It must not be used any more if `alive` is false.
        """
        self._arrived = self._loop.create_future()
        message = _request(program).pack()
        block = wire.pack_payload(program.arguments, payload)
        descriptors = []
        try:
            if len(block) <= wire.INLINE_BYTES:
                message += block
            else:
                descriptors.append(_filled("coderm-payload", block))
            if program.stdin:
                descriptors.append(_filled("coderm-stdin", program.stdin))
            channels = [channel.fileno() for channel in program.channels]
            try:
                socket.send_fds(self._control, [message], [*descriptors, *channels])
            except OSError as error:
                raise await self._died(f"it took no run ({error})") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return self._result(await self._reply(program.limits.wall_s + _GRACE_S), program)

    @property
    def alive(self) -> bool:
        """Whether it can take a run."""
        return self._control.fileno() >= 0

    async def _reply(self, within_s: float) -> bytes:
        try:
            return await self._receive(within_s)
        except asyncio.CancelledError:
            if self.alive and not self._arrived.done():
                self._control.send(wire.CANCEL)
                await self._receive(_GRACE_S)
            raise

    async def _receive(self, within_s: float) -> bytes:
        """The next message. Cancelled, it may be called again for the same one."""
        await asyncio.wait((self._arrived,), timeout=within_s)
        if not self._arrived.done():
            raise await self._died(f"it said nothing for {within_s:.0f} s")
        message = self._arrived.result()
        if not message:
            raise await self._died("it ended" if self.alive else "the sandbox was closed")
        return message

    def _take_message(self) -> None:
        try:
            message = self._control.recv(wire.MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return
        except OSError:  # a reset, which is an end
            message = b""
        if not self._arrived.done():
            self._arrived.set_result(message)
        if not message:
            self._loop.remove_reader(self._control)

    async def _died(self, how: str) -> SandboxError:
        code = await self.close()
        return SandboxError(
            f"a fork server of the sandbox is gone: {how}, exit status {code}; any run it had was ended and is not "
            "repeated"
        )

    async def close(self) -> int | None:
        """End the server with all its processes. Its exit status; None if it was closed before."""
        if not self.alive:
            return None
        self._loop.remove_reader(self._control)
        self._control.close()
        if not self._arrived.done():
            self._arrived.set_result(b"")
        return await asyncio.to_thread(self._end)

    def _end(self) -> int:
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        code = self._process.wait()
        if code != 0:
            self._clear_after_death()
        os.close(self._note_fd)
        self._memory.close()
        return code

    def _clear_after_death(self) -> None:
        """End the processes of the run that it had, and remove its folder."""
        group = int.from_bytes(os.pread(self._note_fd, _NOTE_BYTES, 0), "little")
        if group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        shutil.rmtree(self._scratch / str(self._process.pid), ignore_errors=True)

    def _result(self, message: bytes, program: Program) -> Result:
        reply, error = Reply.unpack(message)
        if reply.cause == Cause.SETUP:
            raise SandboxError(f"the sandbox could not begin a run: {error}")
        totals = (reply.stdout_total, reply.stderr_total, reply.log_total)
        texts, left_out = [], []
        memory = memoryview(self._memory)  # of which only what is kept is copied
        for (at, size), total in zip(wire.regions(program.limits.output_bytes), totals, strict=True):
            head, skipped, tail = kept(memory[at : at + size], total)
            texts.append(as_text(head, skipped, tail))
            left_out.append(skipped > 0)
        code = os.waitstatus_to_exitcode(reply.wait_status)
        return Result(
            stdout=texts[0],
            stderr=texts[1],
            log=texts[2],
            ending=_ending(reply, code),
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            wall_s=reply.wall_s,
            cpu_s=reply.cpu_s,
            stdout_truncated=left_out[0],
            stderr_truncated=left_out[1],
            log_truncated=left_out[2],
            layers=tuple(layer.name for layer in self.layers if layer.on),
        )


def _ending(reply: Reply, code: int) -> Ending:
    if reply.cause in _ENDINGS:
        return _ENDINGS[reply.cause]
    if code < 0:
        return _ENDINGS_BY_SIGNAL.get(-code, Ending.SIGNAL)
    if reply.state == State.MEMORY:
        return Ending.MEMORY
    if reply.state == State.EXCEPTION:
        return Ending.EXCEPTION
    return Ending.EXIT_CODE if code else Ending.OK


def _request(program: Program) -> Request:
    limits = program.limits
    return Request(
        limits.wall_s,
        limits.cpu_s,
        limits.memory_bytes,
        limits.output_bytes,
        limits.max_output_bytes,
        limits.file_bytes,
        limits.disk_bytes,
        limits.files,
        limits.processes,
        limits.open_files,
        bool(program.stdin),
        len(program.channels),
    )


def _refuse_missing(layers: tuple[Layer, ...], settings: SandboxSettings) -> None:
    """The user id is asked of root alone: its limits and permissions do not bind root, and others cannot change it."""
    required = set(settings.required) - set(settings.allow_missing)
    if os.geteuid() != 0:
        required.discard("uid")
    missing = [layer for layer in layers if not layer.on and layer.name in required]
    if missing:
        names = ", ".join(layer.name for layer in missing)
        reasons = "; ".join(f"{layer.name}: {layer.detail}" for layer in missing)
        raise SandboxError(
            f"the sandbox refuses to run programs without its layers {names} ({reasons}); to run them all the same, "
            f"name these in sandbox.allow_missing"
        )


def _memory_file(name: str, size: int) -> int:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size)
    return descriptor


def _filled(name: str, content: bytes) -> int:
    """A memory file with `content`, read from its start, which nobody can change any more."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(descriptor, "wb", buffering=0, closefd=False) as file:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def _processes_of_user() -> int:
    """Processes and threads that this user has now, with room for what he starts later: RLIMIT_NPROC counts them."""
    if os.geteuid() == 0:
        return 0
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == os.geteuid():
                    count += len(os.listdir(entry / "task"))
            except OSError:
                continue
    return count + _OTHER_PROCESSES
