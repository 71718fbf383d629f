"""The C library's calls that Python has no names for. Pointers are passed as addresses."""

import ctypes
import os

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 22, 36, 38

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
_libc.syscall.argtypes = (ctypes.c_long,) * 5
_libc.syscall.restype = ctypes.c_long


def prctl(option: int, first: int, second: int = 0) -> None:
    """`prctl(2)`.

    Raises:
        OSError: it failed.
    """
    _checked(_libc.prctl(option, first, second, 0, 0), "prctl", option)


def syscall(number: int, first: int = 0, second: int = 0, third: int = 0, fourth: int = 0) -> int:
    """`syscall(2)`.

    Raises:
        OSError: it failed.
    """
    return _checked(_libc.syscall(number, first, second, third, fourth), "system call", number)


def trim() -> None:
    """Give free memory back to the system, where the C library can."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def _checked(result: int, kind: str, number: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{kind} {number}: {os.strerror(code)}")
    return result
