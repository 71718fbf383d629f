"""Copies of an interpreter and of packages in a cache that every user may read. Made once, then found again."""

import hashlib
import os
import re
import shutil
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from coderm_slime.sandbox.program import SandboxError

if TYPE_CHECKING:
    from coderm_slime.sandbox.runtime import Interpreter

# Of the standard library, what programs do not need and what is large.
_LEFT_OUT = ("site-packages", "test", "tests", "idlelib", "lib2to3", "ensurepip", "turtledemo", "config-*", "*.a")
_READ_BY_ALL = 0o755


def copy_interpreter(found: "Interpreter", cache: Path) -> Path:
    """A prefix with bin/, lib/ and the standard library.

    Raises:
        SandboxError: the cache cannot be written.
    """

    def fill(folder: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "lib").mkdir()
        shutil.copy2(found.binary, folder / "bin" / found.name)
        for library in Path(found.libdir).glob(f"lib{found.name}*.so*"):
            shutil.copy2(library, folder / "lib" / library.name)
        for name in ("python3", "python"):
            (folder / "bin" / name).symlink_to(found.name)
        shutil.copytree(found.stdlib, folder / "lib" / found.name, ignore=shutil.ignore_patterns(*_LEFT_OUT))

    changed = Path(found.binary).stat().st_mtime_ns, Path(found.stdlib).stat().st_mtime_ns
    return _cached(cache, found.name, (found.version, found.base, *changed), fill)


def copy_distributions(modules: Iterable[str], folders: tuple[str, ...], cache: Path) -> Path:
    """A folder with the distributions that bring `modules` and all that these require.

    Args:
        folders: where they are installed.

    Raises:
        SandboxError: a module comes from no distribution there, or the cache cannot be written.
    """
    known = {_canonical(one.metadata["Name"]): one for one in metadata.distributions(path=list(folders))}
    needed: dict[str, metadata.Distribution] = {}
    pending = [_name_of(module, known) for module in modules]
    while pending:
        name = pending.pop()
        if name in known and name not in needed:
            needed[name] = known[name]
            pending += [_canonical(line) for line in known[name].requires or [] if "extra ==" not in line]

    def fill(folder: Path) -> None:
        for distribution in needed.values():
            for file in distribution.files or []:
                place = Path(str(distribution.locate_file(file)))
                if ".." not in file.parts and place.is_file() and file.suffix != ".pyc":
                    target = folder / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(place, target)

    versions = sorted(f"{name}=={one.version}" for name, one in needed.items())
    return _cached(cache, "packages", (sysconfig.get_platform(), *folders, *versions), fill)


def _name_of(module: str, known: dict[str, metadata.Distribution]) -> str:
    top = module.split(".")[0]
    for name, distribution in known.items():
        if any(file.parts[0] in (top, f"{top}.py") for file in distribution.files or []):
            return name
    raise SandboxError(
        f"Program.imports names {module!r}, which no installed distribution brings that could be copied for the "
        "sandbox's user id; install it, or put the environment where every user can read it"
    )


def _canonical(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", found.group() if found else requirement).lower()


def _cached(cache: Path, name: str, identity: tuple[object, ...], fill: Callable[[Path], None]) -> Path:
    """The folder in `cache` for `identity`, filled by `fill` if it is not there; renamed into place when complete."""
    key = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
    target = cache / f"{name}-{key}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if cache.stat().st_uid != os.geteuid() or cache.stat().st_mode & 0o022:
            raise SandboxError(f"sandbox.cache = {cache} can be written by others, who could change what runs there")
        if target.is_dir():
            return target
        building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
        building.chmod(_READ_BY_ALL)
        fill(building)
        _open_to_all(building)
        try:
            building.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(building)
        return target
    except OSError as error:
        raise SandboxError(f"cannot copy the interpreter into sandbox.cache = {cache}: {error}") from error


def _open_to_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(_READ_BY_ALL if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
