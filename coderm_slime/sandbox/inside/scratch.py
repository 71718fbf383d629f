"""A run's scratch folder: made, measured, and removed whatever the program left in it."""

import os
import stat

MAIN = "main.py"  # the one file that every run has
_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's own


def make(path: str, uid: int | None) -> None:
    """A new folder that only `uid` (None: this process's own) may enter."""
    os.mkdir(path, 0o700)
    if uid is not None:
        os.chown(path, uid, uid)


def used(path: str, max_files: int) -> tuple[int, int]:
    """(bytes, files) below `path`, counted no further than beyond `max_files`.

    A file that vanishes counts nothing; a folder that cannot be listed is more than any limit.
    """
    total = files = 0
    pending = [path]
    while pending and files <= max_files:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    files += 1
                    status = entry.stat(follow_symlinks=False)
                    total += status.st_blocks * _BLOCK_BYTES
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # not to be listed, or too deep: nobody can tell what is in it
            return total, max_files + 1
    return total, files


def remove(path: str) -> None:
    """Remove a folder with all in it: no link is followed, no depth or mode stops it. None of its users may live."""
    try:
        os.unlink(f"{path}/{MAIN}")
        os.rmdir(path)
    except OSError:  # the program made more, or made it hard to remove
        _remove_all(path)


def _remove_all(path: str) -> None:
    os.chmod(path, 0o700)  # the program cannot have put another in its place: the folder above is not its own
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        moved = _Names()
        while names := os.listdir(top):
            for name in names:
                _remove_entry(top, name, moved)
    finally:
        os.close(top)
    os.rmdir(path)


class _Names:
    """Names that no program can have foreseen."""

    def __init__(self) -> None:
        self._prefix, self._count = os.urandom(8).hex(), 0

    def next(self) -> str:
        self._count += 1
        return f".{self._prefix}-{self._count}"


def _remove_entry(top: int, name: str, moved: _Names) -> None:
    """Unlink a file; of a folder lift the content to `top` first, so that depth does not matter."""
    try:
        os.unlink(name, dir_fd=top)
        return
    except IsADirectoryError:
        pass
    os.chmod(name, 0o700, dir_fd=top)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        for child in os.listdir(inner):
            _lift(inner, child, top, moved.next())
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)


def _lift(inner: int, child: str, top: int, name: str) -> None:
    try:
        os.unlink(child, dir_fd=inner)
    except IsADirectoryError:
        os.chmod(child, 0o700, dir_fd=inner)  # a folder that its owner may not write cannot be moved by him either
        os.rename(child, name, src_dir_fd=inner, dst_dir_fd=top)
