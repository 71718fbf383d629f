"""A file system in memory of a fixed size for a worker's scratch folders, where the machine allows a mount.

It is mounted in a name space of the fork server's own: nobody else sees it, and it goes when the server ends.
"""

import ctypes
import os

_CLONE_NEWNS = 0x20000
_MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_REC, _MS_PRIVATE = 2, 4, 32, 16384, 1 << 18
_OWN_FILES = 16  # the folders of the run itself and what clearing it up takes

_libc = ctypes.CDLL(None, use_errno=True)


class Tmpfs:
    """The mount at `folder`.

    Raises:
        OSError: this process may not mount.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._size = (1 << 20, _OWN_FILES)
        _checked(_libc.unshare(_CLONE_NEWNS), "unshare")
        self._mount("/", None, _MS_REC | _MS_PRIVATE, "")
        self._mount(folder, b"tmpfs", _MS_NOSUID | _MS_NODEV, self._options())

    def fit(self, size_bytes: int, files: int) -> None:
        """Give the next run so much and no more. Its folder must be empty."""
        if self._size != (size_bytes, files):
            self._size = (size_bytes, files)
            self._mount(self._folder, b"tmpfs", _MS_REMOUNT | _MS_NOSUID | _MS_NODEV, self._options())

    def _options(self) -> str:
        return f"size={self._size[0]},nr_inodes={self._size[1] + _OWN_FILES},mode=711"

    def _mount(self, target: str, kind: "bytes | None", flags: int, data: str) -> None:
        result = _libc.mount(b"tmpfs", os.fsencode(target), kind, ctypes.c_ulong(flags), data.encode())
        _checked(result, f"mount {target}")


def _checked(result: int, what: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
