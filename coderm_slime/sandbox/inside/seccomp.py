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

_LOAD, _EQUAL, _GREATER, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06
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


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


class Filter:
    """A filter, assembled once.

    Args:
        kill_freely: something else (a user id, Landlock) keeps signals within the run; else a program may signal
            itself only, and not the processes that it started.
    """

    def __init__(self, kill_freely: bool) -> None:
        code = _assemble(Table(os.uname().machine), kill_freely)
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


def _assemble(table: Table, kill_freely: bool) -> list[Instruction]:
    code = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, table.audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    code += [(_GREATER, 0, 1, LAST_KNOWN), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]  # x32 numbers are above it, too
    for number in table.refused:
        code += _when(number, [(_RETURN, 0, 0, _ERRNO | REFUSED)])
    for name in ("setsid", "setpgid"):
        code += _when(table[name], [(_RETURN, 0, 0, _ERRNO)])
    code += _when(
        table["clone3"], [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    )  # glibc then takes clone, whose flags show
    code += _when(table["clone"], [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), *_refuse_or_allow()])
    code += _when(table["socketpair"], _socket_pairs())
    code += _when(table["fcntl"], _refuse_values(1, _FCNTL_OWNERS))
    code += _when(table["ioctl"], _refuse_values(1, _IOCTL_OWNERS_AND_INPUT))
    for name in ("prlimit64", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr"):
        code += _when(table[name], _only_values(0, (0,)))
    if not kill_freely:
        code += _when(table["kill"], _only_values(0, (0, _OWN_PID)))
        code += _when(table["tgkill"], _only_values(0, (_OWN_PID,)))
        code += _when(table["tkill"], _only_values(0, (_OWN_PID,)))
    return [*code, (_RETURN, 0, 0, _ALLOW)]


def _when(number: int, block: list[Instruction]) -> list[Instruction]:
    """`block`, which must return, for one system call; else go on behind it."""
    return [(_EQUAL, 0, len(block), number), *block]


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGUMENT + 8 * index)


def _refuse_or_allow() -> list[Instruction]:
    return [(_RETURN, 0, 0, _ERRNO | REFUSED), (_RETURN, 0, 0, _ALLOW)]


def _only_values(index: int, values: tuple[int, ...]) -> list[Instruction]:
    tests = [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_argument(index), *tests, *_refuse_or_allow()]


def _refuse_values(index: int, values: tuple[int, ...]) -> list[Instruction]:
    tests = [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_argument(index), *tests, *reversed(_refuse_or_allow())]


def _socket_pairs() -> list[Instruction]:
    """Unix streams and seqpackets only: a datagram socket could still send to any address."""
    return [
        _argument(0),
        (_EQUAL, 0, 4, _AF_UNIX),
        _argument(1),
        (_AND, 0, 0, _SOCK_KIND_MASK),
        (_EQUAL, 2, 0, _SOCK_STREAM),
        (_EQUAL, 1, 0, _SOCK_SEQPACKET),
        *_refuse_or_allow(),
    ]
