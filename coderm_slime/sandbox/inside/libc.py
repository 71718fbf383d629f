"""The C library's calls that Python has no names for."""

import ctypes
import os

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 22, 36, 38

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def prctl(option: int, *arguments: "int | ctypes.c_void_p") -> None:
    """`prctl(2)`.

    Raises:
        OSError: it failed.
    """
    given = [a if isinstance(a, ctypes.c_void_p) else ctypes.c_ulong(a) for a in arguments]
    given += [ctypes.c_ulong(0)] * (4 - len(given))
    _checked(_libc.prctl(option, *given), f"prctl {option}")


def syscall(number: int, *arguments: object) -> int:
    """`syscall(2)` with integers and ctypes values.

    Raises:
        OSError: it failed.
    """
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *given), f"system call {number}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """`mount(2)`.

    Raises:
        OSError: it failed.
    """
    code = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _checked(code, f"mount {target}")


def unshare(flags: int) -> None:
    """`unshare(2)`.

    Raises:
        OSError: it failed.
    """
    _checked(_libc.unshare(flags), "unshare")


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
