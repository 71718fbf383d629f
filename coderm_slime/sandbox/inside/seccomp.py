"""The system-call filter, as BPF: calls of syscalls.py are refused, some by their arguments. See seccomp(2).

It stops all network, the leaving of the run's process group, other processes' memory, limits and signals, mounts and
namespaces. `setsid` and `setpgid` do nothing and say they succeeded, so that code which starts a process in a
session of its own works, and yet one signal ends all of a run.
"""

import ctypes
import errno
import os
import struct

from .libc import PR_SET_SECCOMP, prctl
from .syscalls import LAST_KNOWN, REFUSED, Table

_LOAD, _JUMP, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x54, 0x06
_FARTHEST = 255  # instructions that a condition can skip
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_ERRNO = 0x00050000
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; an argument's low half comes first
_NEW_NAMESPACES = 0x7E020000
_AF_UNIX, _SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_KIND_MASK = 1, 1, 5, 0xF
# Who gets a descriptor's signals, and which: a way around the rules for kill.
_FCNTL_OWNERS = (8, 10, 15)
_IOCTL_OWNERS_AND_INPUT = (0x8901, 0x8902, 0x5412, 0x541C)
_FILTER_MODE = 2
_OWN_PID = 0xFFFFFFFE  # stands for the program's process id until the filter is installed

Instruction = tuple[int, int, int, int]
_LET: Instruction = (_RETURN, 0, 0, _ALLOW)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


class Filter:
    """A filter, assembled once.

    Args:
        blocks: what to do about a system call, by number; all others are let through.
    """

    def __init__(self, blocks: dict[int, list[Instruction]], audit: int) -> None:
        code = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
        code += _search(_ranges(blocks))
        self._own_pid_at = [at for at, (op, _, _, k) in enumerate(code) if (op, k) == (_EQUAL, _OWN_PID)]
        self._code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *one) for one in code))
        self._program = _Program(len(code), ctypes.addressof(self._code))

    def install(self) -> None:
        """Hold this process and its children to it, for good; needs no_new_privs.

        Raises:
            OSError: it failed.
        """
        for at in self._own_pid_at:
            struct.pack_into("<I", self._code, 8 * at + 4, os.getpid())
        prctl(PR_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(self._program))


def server_filter() -> Filter:
    """For the fork server itself, whose children inherit it: a large filter takes the kernel a tenth of a run."""
    table = Table(os.uname().machine)
    blocks = {number: [_refuse(REFUSED)] for number in table.refused}
    blocks[table["clone3"]] = [_refuse(errno.ENOSYS)]  # glibc then takes clone, whose flags can be seen
    blocks[table["clone"]] = [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), _refuse(REFUSED), _LET]
    blocks[table["socketpair"]] = _socket_pairs()
    blocks[table["fcntl"]] = _refuse_values(1, _FCNTL_OWNERS)
    blocks[table["ioctl"]] = _refuse_values(1, _IOCTL_OWNERS_AND_INPUT)
    for name in ("prlimit64", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr"):
        blocks[table[name]] = _only_values(0, (0,))
    return Filter(blocks, table.audit)


def run_filter(kill_freely: bool, own_uid: bool = False) -> Filter:
    """For each run, the calls that the fork server itself needs.

    Args:
        kill_freely: something else (a user id, Landlock) keeps signals within the run; else a program may signal
            itself only, and not the processes that it started.
        own_uid: permissions, owners and times of files may be changed; else these calls, which Landlock does not
            know, do nothing and say they succeeded.
    """
    table = Table(os.uname().machine)
    blocks = {table[name]: [_refuse(REFUSED)] for name in ("mount", "pidfd_open")}
    blocks |= {table[name]: [_refuse(0)] for name in ("setsid", "setpgid")}
    if not own_uid:
        blocks |= {number: [_refuse(0)] for number in table.owners}
    if not kill_freely:
        blocks[table["kill"]] = _only_values(0, (0, _OWN_PID))
        blocks |= {table[name]: _only_values(0, (_OWN_PID,)) for name in ("tgkill", "tkill")}
    return Filter(blocks, table.audit)


def _ranges(blocks: dict[int, list[Instruction]]) -> list[tuple[int, list[Instruction]]]:
    """(first number, what to do up to the next range), by number. Above the last known one no call exists."""
    ranges: list[tuple[int, list[Instruction]]] = []
    for number in range(LAST_KNOWN + 1):
        block = blocks.get(number, [_LET])
        if not ranges or ranges[-1][1] != block:
            ranges.append((number, block))
    return [*ranges, (LAST_KNOWN + 1, [_refuse(errno.ENOSYS)])]


def _search(ranges: list[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """A binary search: the kernel runs the filter for every number when it is installed, and often afterwards."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    number = ranges[middle][0]
    if len(below) <= _FARTHEST:
        return [(_AT_LEAST, len(below), 0, number), *below, *above]
    return [(_AT_LEAST, 0, 1, number), (_JUMP, 0, 0, len(below)), *below, *above]


def _refuse(code: int) -> Instruction:
    """Return -1 with this errno, or 0 without doing anything where `code` is 0."""
    return (_RETURN, 0, 0, _ERRNO | code)


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENT + 8 * index)


def _only_values(index: int, values: tuple[int, ...]) -> list[Instruction]:
    tests = [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_argument(index), *tests, _refuse(REFUSED), _LET]


def _refuse_values(index: int, values: tuple[int, ...]) -> list[Instruction]:
    tests = [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_argument(index), *tests, _LET, _refuse(REFUSED)]


def _socket_pairs() -> list[Instruction]:
    """Unix streams and seqpackets only: a datagram socket could still send to any address."""
    return [
        _argument(0),
        (_EQUAL, 0, 4, _AF_UNIX),
        _argument(1),
        (_AND, 0, 0, _SOCK_KIND_MASK),
        (_EQUAL, 2, 0, _SOCK_STREAM),
        (_EQUAL, 1, 0, _SOCK_SEQPACKET),
        _refuse(REFUSED),
        _LET,
    ]
