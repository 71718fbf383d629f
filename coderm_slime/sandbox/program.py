"""What goes into the sandbox and what comes out of it. Knows not how it runs."""

import socket
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePosixPath

from coderm_slime.errors import CodermError

MAX_OUTPUT_BYTES = 16 << 20  # a worker maps three times as much, of which only what is written takes memory
MAX_CHANNELS = 16
MAX_PAYLOAD_BYTES = 64 << 20  # source and files of one program, which pass through memory
MAIN = "main.py"


class SandboxError(CodermError):
    """The sandbox itself failed, or refuses: never a verdict on the program."""


class Ending(str, Enum):
    """How a program ended, as far as its process shows. `OK` says that it ended by itself, not that it is right."""

    OK = "ok"
    EXCEPTION = "exception"
    EXIT_CODE = "exit_code"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    DISK_LIMIT = "disk_limit"
    KILLED = "killed"


@dataclass(frozen=True)
class Limits:
    """What one run may use.

    Attributes:
        wall_s: seconds from start to end.
        cpu_s: processor seconds of each process, rounded up to whole seconds.
        memory_bytes: address space of each process.
        output_bytes: kept of stdout, of stderr and of both in order, each its first and its last half.
        max_output_bytes: written in all; a program that writes more is ended.
        file_bytes: size of one file.
        disk_bytes: of all files in the scratch folder together.
        files: number of files and folders in the scratch folder.
        processes: processes and threads at the same time.
        open_files: file descriptors of each process.
    """

    wall_s: float = 10.0
    cpu_s: float = 10.0
    memory_bytes: int = 1 << 30
    output_bytes: int = 64 << 10
    max_output_bytes: int = 16 << 20
    file_bytes: int = 16 << 20
    disk_bytes: int = 64 << 20
    files: int = 2000
    processes: int = 64
    open_files: int = 128

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < 1 << 53:  # beyond, neither a float nor the kernel counts singly; NaN fails here, too
                raise SandboxError(f"Limits.{name} = {value!r} must be a finite number above 0")
        if self.output_bytes > MAX_OUTPUT_BYTES:
            raise SandboxError(f"Limits.output_bytes = {self.output_bytes} is above {MAX_OUTPUT_BYTES}")


@dataclass(frozen=True)
class Program:
    """Python source with what it may read.

    Attributes:
        source: run as `__main__` from the file main.py. Lone surrogates and NUL are the program's own errors.
        stdin: all that it can read from its standard input.
        files: content by path, relative to the scratch folder, which is the current folder.
        channels: connected Unix stream or seqpacket sockets that it finds as file descriptors 3, 4, ... They stay
            open in the caller, who closes them.
        imports: modules that are imported before the fork, hence for many runs only once.
        arguments: `sys.argv[1:]`.
    """

    source: str
    stdin: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)
    limits: Limits = Limits()
    channels: tuple[socket.socket, ...] = ()
    imports: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, content in self.files.items():
            _check_name(name)
            if len(content) > self.limits.file_bytes:
                raise SandboxError(f"file {name!r} has {len(content)} bytes, Limits.file_bytes is less")
        if len(self.channels) > MAX_CHANNELS:
            raise SandboxError(f"{len(self.channels)} channels are more than {MAX_CHANNELS}")
        for channel in self.channels:
            if channel.family != socket.AF_UNIX or channel.type not in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
                raise SandboxError(f"a channel must be a connected Unix stream or seqpacket socket, not {channel}")
        if any("\0" in argument for argument in self.arguments):
            raise SandboxError("an argument with a NUL byte cannot be passed")

    def payload(self) -> dict[str, bytes]:
        """All files of the scratch folder.

        Raises:
            SandboxError: they are too large.
        """
        payload = {**self.files, MAIN: self.source.encode("utf-8", "surrogatepass")}
        size = sum(map(len, payload.values()))
        if size > min(MAX_PAYLOAD_BYTES, self.limits.disk_bytes):
            raise SandboxError(f"source and files of {size} bytes exceed Limits.disk_bytes or {MAX_PAYLOAD_BYTES}")
        if len(payload[MAIN]) > self.limits.file_bytes:
            raise SandboxError(f"a source of {len(payload[MAIN])} bytes exceeds Limits.file_bytes")
        return payload


@dataclass(frozen=True)
class Result:
    """What a run left.

    Attributes:
        stdout, stderr: decoded as UTF-8, what is invalid replaced; where truncated, a line in the middle says so.
        log: both in the order in which they were written. For what Python's own streams write that is exact, for
            child processes and C code as good as the order of arrival.
        exit_code: None where a signal ended it.
        signal: number of the signal that ended it, else None.
        wall_s: seconds from start to end.
        cpu_s: processor seconds of all its processes.
        layers: names of the isolation layers that were on.
    """

    stdout: str
    stderr: str
    log: str
    ending: Ending
    exit_code: int | None
    signal: int | None
    wall_s: float
    cpu_s: float
    stdout_truncated: bool
    stderr_truncated: bool
    log_truncated: bool
    layers: tuple[str, ...]


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and path.parts and "\0" not in name
    if not inside or path == PurePosixPath(MAIN):
        raise SandboxError(f"bad file name {name!r}: give a path inside the scratch folder, other than {MAIN}")
