"""Landlock: which files a program may reach, and (newest kernels) that it signals nobody outside. See landlock(7)."""

import ctypes
import os
import stat

from .libc import syscall

_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on all architectures
_ASK_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_TCP_BIND_AND_CONNECT = 3
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3
_FILE_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}  # number of lowest bits that the version knows; later: 16


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def version() -> int:
    """The kernel's Landlock ABI.

    Raises:
        OSError: the kernel has none, or forbids it.
    """
    return syscall(_CREATE, 0, 0, _ASK_VERSION)


class Landlock:
    """Rules that hold for all runs of a fork server, prepared once.

    Args:
        readable: files and folders to read and execute; those that do not exist are left out.
        devices: files to read and write.
    """

    def __init__(self, readable: list[str], devices: list[str]) -> None:
        self.version = version()
        handled = (1 << _FILE_RIGHTS_BY_VERSION.get(self.version, 16)) - 1
        network = _TCP_BIND_AND_CONNECT if self.version >= 4 else 0
        scoped = _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if self.version >= 6 else 0
        self._ruleset = _Ruleset(handled, network, scoped)
        self._size = 24 if self.version >= 6 else 16 if self.version >= 4 else 8
        self._in_scratch = handled & ~(_MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK | _IOCTL_DEV)
        distinct = {os.path.realpath(path): path for path in readable}  # /lib is /usr/lib on most machines
        inside = [path for path in distinct if not any(path.startswith(f"{other}/") for other in distinct)]
        self._rules = [rule for path in inside for rule in _rule(path, _READ)]
        self._rules += [rule for path in devices for rule in _rule(path, handled & (_READ_FILE | _WRITE_FILE))]

    @property
    def scopes(self) -> bool:
        """Whether signals and abstract sockets stay within the run."""
        return self._size == 24

    def prepare(self, scratch: str) -> int:
        """A rule set as a file descriptor: the prepared rules, and every right in `scratch`."""
        ruleset = syscall(_CREATE, ctypes.addressof(self._ruleset), self._size, 0)
        (own,) = _rule(scratch, self._in_scratch)
        for rule in (*self._rules, own):
            syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.addressof(rule), 0)
        os.close(own.parent)
        return ruleset


def restrict_self(ruleset: int) -> None:
    """Hold this thread and its children to the rules, for good; needs no_new_privs.

    Raises:
        OSError: it failed.
    """
    syscall(_RESTRICT_SELF, ruleset, 0)


def _rule(path: str, allowed: int) -> list[_PathBeneath]:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        allowed &= _FOR_FILES
    return [_PathBeneath(allowed, descriptor)]
