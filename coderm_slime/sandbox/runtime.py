"""Which interpreter runs the programs: the chosen one, or a readable copy where their user id cannot read it.

The copy has the binary, its shared library and the standard library. Third-party packages are taken from where they
are if the programs' user id can read them; else those, and only those, that `Program.imports` names are copied, with
what they require. Nothing is downloaded.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from coderm_slime.sandbox.copies import copy_distributions, copy_interpreter
from coderm_slime.sandbox.program import SandboxError
from coderm_slime.settings.sandbox import SandboxSettings

DEFAULT_CACHE = Path("/var/cache/coderm-slime")
_ASK_S = 30.0
_ASK = """
import json, site, sys, sysconfig
print(json.dumps({
    "version": sys.version,
    "name": f"python{sys.version_info[0]}.{sys.version_info[1]}",
    "base": sys.base_prefix,
    "binary": getattr(sys, "_base_executable", sys.executable),
    "stdlib": sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix}),
    "libdir": sysconfig.get_config_var("LIBDIR"),
    "packages": list(dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """What an interpreter says of itself: paths of its prefix, binary, standard library, shared library, packages."""

    version: str
    name: str
    base: str
    binary: str
    stdlib: str
    libdir: str
    packages: list[str]


@dataclass
class Runtime:
    """The interpreter that runs programs.

    Attributes:
        python: its binary.
        original: the binary that was asked for.
        prefix: the folder with its standard library, which programs may read.
        environment: what programs find in `os.environ`, but for HOME and TMPDIR.
        copied_from: prefix of the original where this is a copy, else None.
        unreadable: folders of third-party packages that the programs' user id cannot read.
    """

    python: str
    original: str
    prefix: str
    environment: dict[str, str]
    copied_from: str | None
    readable: tuple[str, ...]
    unreadable: tuple[str, ...]
    cache: Path
    copies: dict[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """In words, with what programs lack."""
        copy = f", a copy of {self.copied_from}, which the runs' user id cannot read" if self.copied_from else ""
        lacking = f"; packages in {', '.join(self.unreadable)} only by Program.imports" if self.unreadable else ""
        return f"{self.python}{copy}{lacking}"

    @classmethod
    def find(cls, settings: SandboxSettings) -> "Runtime":
        """The interpreter of `settings`, copied where that is needed (seconds, once; megabytes).

        Raises:
            SandboxError: there is none, or it cannot be copied.
        """
        found = _ask(settings.python or sys.executable)
        cache = Path(settings.cache) if settings.cache else DEFAULT_CACHE
        others_run_it = os.geteuid() == 0  # the user id of the runs is not this process's
        packages = [path for path in found.packages if Path(path).is_dir()]
        readable = tuple(path for path in packages if not others_run_it or readable_by_all(Path(path)))
        copied = others_run_it and not all(map(readable_by_all, (Path(found.binary), Path(found.stdlib))))
        prefix = str(copy_interpreter(found, cache)) if copied else found.base
        environment = {
            "PATH": f"{prefix}/bin:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONHASHSEED": "0",  # the same program orders its sets in the same way each time
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if copied:
            environment["LD_LIBRARY_PATH"] = f"{prefix}/lib"
        return cls(
            original=settings.python or sys.executable,
            python=f"{prefix}/bin/{found.name}" if copied else found.binary,
            prefix=prefix,
            environment=environment,
            copied_from=found.base if copied else None,
            readable=readable,
            unreadable=tuple(path for path in packages if path not in readable),
            cache=cache,
        )

    def provide(self, imports: tuple[str, ...]) -> None:
        """Copy what `imports` need of packages that the programs cannot read.

        Raises:
            SandboxError: they cannot be copied.
        """
        third_party = [name for name in imports if name.split(".")[0] not in sys.stdlib_module_names]
        if third_party and self.unreadable and imports not in self.copies:
            self.copies[imports] = str(copy_distributions(third_party, self.unreadable, self.cache))

    def packages(self, imports: tuple[str, ...]) -> tuple[str, ...]:
        """Folders of third-party packages for runs with these imports, after `provide`."""
        return (*self.readable, *([self.copies[imports]] if imports in self.copies else []))


def readable_by_all(path: Path) -> bool:
    """Whether every user may read `path` and pass through the folders above it. Access lists are not looked at."""
    path = path.resolve()
    try:
        return bool(path.stat().st_mode & 0o004) and all(folder.stat().st_mode & 0o001 for folder in path.parents)
    except OSError:
        return False


def _ask(python: str) -> Interpreter:
    try:
        run = subprocess.run([python, "-I", "-c", _ASK], capture_output=True, text=True, timeout=_ASK_S, check=True)
        return Interpreter(**json.loads(run.stdout))
    except subprocess.CalledProcessError as error:
        raise SandboxError(f"sandbox.python = {python} fails: {error.stderr[-500:]}") from error
    except (OSError, subprocess.TimeoutExpired, ValueError, TypeError) as error:
        raise SandboxError(f"sandbox.python = {python} is no Python 3 that runs: {error}") from error
