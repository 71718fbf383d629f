"""What processes use and hold, looked at from outside by /proc. Needs to be root or their user."""

import contextlib
import os
import resource
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coderm_slime.sandbox.attacks.case import Attack, Sign

_PAGE_BYTES = resource.getpagesize()
_BLOCK_BYTES = 512  # the unit of st_blocks
_NAME_SPACES = ("mnt", "net", "user")


@dataclass(frozen=True)
class Process:
    """One line of the process table, of proc(5)'s `stat`."""

    parent: int
    state: str
    nice: int
    threads: int
    memory_bytes: int
    policy: int


@dataclass
class Usage:
    """The most that was seen of each at one time; of what is `held`, all that was seen."""

    tasks: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    files: int = 0
    descriptors: int = 0
    held: set[str] = field(default_factory=set)


def table() -> dict[int, Process]:
    """All processes by id."""
    found = {}
    for pid in _pids():
        with contextlib.suppress(OSError):
            found[pid] = _process(pid)
    return found


def below(roots: set[int], processes: dict[int, Process]) -> set[int]:
    """Those whose parents, at any remove, are among `roots`."""
    found: set[int] = set()
    grown = set(roots)
    while grown:
        grown = {pid for pid, process in processes.items() if process.parent in grown} - found
        found |= grown
    return found


def marked(mark: str) -> set[int]:
    """Living processes with `mark` on their command line."""
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and _process(pid).state != "Z":
                found.add(pid)
    return found


def of_users(uids: set[int]) -> set[int]:
    """Processes of these user ids."""
    found = set()
    for pid in _pids():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}").stat().st_uid in uids:
                found.add(pid)
    return found


def environment_of(pid: int) -> tuple[int, int]:
    """Address and size of a process's first environment."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[47]), int(fields[48]) - int(fields[47])


class Watch:
    """Samples the processes of one attempt.

    Args:
        attack: only what its sign needs is looked at.
        roots: the attempt's processes are these and those below.
        usual: a process whose name spaces are the attempt's own at the start.
        others: processes that do not count.
    """

    def __init__(self, attack: Attack, roots: set[int], usual: int, others: set[int]) -> None:
        self._attack, self._roots, self._others = attack, roots, others
        self._usual = {space: _link(f"/proc/{usual}/ns/{space}") for space in _NAME_SPACES}
        self.usage = Usage()

    def look(self) -> None:
        """Take one sample."""
        if self._attack.sign not in (Sign.EXCEEDED, Sign.HELD):
            return
        processes = table()
        mine = (below(self._roots, processes) | (self._roots & processes.keys())) - self._others
        usage = self.usage
        usage.tasks = max(usage.tasks, sum(processes[pid].threads for pid in mine))
        usage.memory_bytes = max([usage.memory_bytes, *(processes[pid].memory_bytes for pid in mine)])
        for pid in mine:
            with contextlib.suppress(OSError):
                self._look_at(pid, processes[pid])

    def _descriptors_of_others(self) -> set[str]:
        """What the fork servers hold: a run's process has it, too, from the fork until just before the program."""
        links = set()
        for pid in self._others:
            with contextlib.suppress(OSError):
                links |= {_link(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
        return links

    def _look_at(self, pid: int, process: Process) -> None:
        usage = self.usage
        descriptors = os.listdir(f"/proc/{pid}/fd")
        usage.descriptors = max(usage.descriptors, len(descriptors))
        if self._attack.sign is Sign.HELD:
            usage.held |= {_link(f"/proc/{pid}/fd/{name}") for name in descriptors} - self._descriptors_of_others()
            usage.held |= {f"nice {process.nice}", f"policy {process.policy}"}
            for space, usual in self._usual.items():
                if _link(f"/proc/{pid}/ns/{space}") not in (usual, ""):
                    usage.held.add(f"new {space}")
            if _link(f"/proc/{pid}/root") not in ("/", ""):
                usage.held.add("new root")
        if self._attack.measure in ("disk_bytes", "files"):
            files = {(one.st_dev, one.st_ino): one.st_blocks * _BLOCK_BYTES for one in _files(pid, descriptors)}
            usage.files = max(usage.files, len(files))
            usage.disk_bytes = max(usage.disk_bytes, sum(files.values()))


def _files(pid: int, descriptors: list[str]) -> Iterator[os.stat_result]:
    """Those that are open, nameless ones too, and those below the current folder."""
    paths = [f"/proc/{pid}/fd/{name}" for name in descriptors]
    for folder, _, names in os.walk(f"/proc/{pid}/cwd/"):
        paths += [os.path.join(folder, name) for name in names]
    for path in paths:
        with contextlib.suppress(OSError):
            found = os.stat(path)
            if stat.S_ISREG(found.st_mode):
                yield found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _process(pid: int) -> Process:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    nice, threads, policy = int(fields[16]), int(fields[17]), int(fields[38])
    return Process(int(fields[1]), fields[0], nice, threads, int(fields[21]) * _PAGE_BYTES, policy)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
