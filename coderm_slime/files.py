"""Files that others may look at meanwhile: one writer at a time, and a file that is whole or still the one before."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from coderm_slime.errors import CodermError


@contextmanager
def held(path: Path, busy: CodermError | None) -> Iterator[None]:
    """Hold the file `path`, made if absent, with its folder. The kernel lets go of it when this process ends.

    Args:
        busy: raised where another process holds it; None waits for that one to end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            assert busy is not None, "who waits is never told that it is busy"
            raise busy from None
        yield


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when all is written and on disk, and else never."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
