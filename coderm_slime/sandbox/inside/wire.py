"""What the caller and a fork server say to each other. Both sides import this; neither trusts a program with it.

Over a SEQPACKET socket pair: once HELLO (JSON), then for each run a REQUEST with its file descriptors and a REPLY.
Source and files follow the request's head or, where they are large, are in a memory file. The server peeks at the head
alone, the run's own process takes the message; output comes back in shared memory. So neither is ever in memory that
later runs inherit.
"""

import struct
from typing import NamedTuple

MAX_MESSAGE_BYTES = 64 << 10
INLINE_BYTES = 32 << 10  # of source and files in the message itself
CANCEL = b"cancel"  # caller to server, during a run: end it

_REQUEST = struct.Struct("<dd10Q")
HEAD_BYTES = _REQUEST.size
_REPLY = struct.Struct("<BiddBQQQ")
_LENGTHS = struct.Struct("<IQ")


class Options(NamedTuple):
    """What a fork server is started with: descriptors, folders, modules, and user ids to choose from.

    `user_processes` is how many the user has already where the runs share his id.
    """

    control: int
    memory: int
    note: int
    scratch: str
    own_path: str
    packages: list[str]
    imports: list[str]
    readable: list[str]
    devices: list[str]
    uid_first: int
    uid_count: int
    user_processes: int


class Request(NamedTuple):
    """The head of one run's request. Units as in `Limits`.

    The payload follows, or is the first descriptor; then come stdin if `has_stdin` and the channels.
    """

    wall_s: float
    cpu_s: float
    memory_bytes: int
    output_bytes: int
    max_output_bytes: int
    file_bytes: int
    disk_bytes: int
    files: int
    processes: int
    open_files: int
    has_stdin: int
    channels: int

    def pack(self) -> bytes:
        return _REQUEST.pack(*self)

    @staticmethod
    def unpack(message: bytes) -> "Request":
        return Request(*_REQUEST.unpack(message))


class Cause:
    """Why a run is over."""

    EXITED, TIMEOUT, OUTPUT, DISK, CANCELLED, SETUP = range(6)


class State:
    """What the program's process noted before it exited. The program can forge it: it is no verdict."""

    NONE, EXCEPTION, MEMORY = range(3)


class Reply(NamedTuple):
    """How one run ended: `wait_status` as waitpid gives it; totals are bytes written, kept or not."""

    cause: int
    wait_status: int
    wall_s: float
    cpu_s: float
    state: int
    stdout_total: int
    stderr_total: int
    log_total: int

    def pack(self, error: str = "") -> bytes:
        return _REPLY.pack(*self) + error.encode("utf-8", "replace")[:4096]

    @staticmethod
    def unpack(message: bytes) -> "tuple[Reply, str]":
        return Reply(*_REPLY.unpack_from(message)), message[_REPLY.size :].decode("utf-8", "replace")


def pack_payload(arguments: tuple[str, ...], files: dict[str, bytes]) -> bytes:
    """`sys.argv[1:]` and files by path, as one block."""
    joined = "\0".join(arguments).encode("utf-8", "surrogatepass")
    parts = [_LENGTHS.pack(len(arguments), len(joined)), joined]
    for name, content in files.items():
        encoded = name.encode("utf-8", "surrogatepass")
        parts += [_LENGTHS.pack(len(encoded), len(content)), encoded, content]
    return b"".join(parts)


def unpack_payload(block: bytes) -> tuple[list[str], dict[str, bytes]]:
    """The inverse of `pack_payload`."""
    count, length = _LENGTHS.unpack_from(block)
    at = _LENGTHS.size + length
    joined = block[_LENGTHS.size : at].decode("utf-8", "surrogatepass")
    files = {}
    while at < len(block):
        name_length, length = _LENGTHS.unpack_from(block, at)
        at += _LENGTHS.size
        name = block[at : at + name_length].decode("utf-8", "surrogatepass")
        at += name_length
        files[name] = block[at : at + length]
        at += length
    return joined.split("\0") if count else [], files


def regions(output_bytes: int) -> list[tuple[int, int]]:
    """(offset, size) of stdout, stderr and log in the shared memory: each its head, then a ring for its tail."""
    return [(index * output_bytes, output_bytes) for index in range(3)]
