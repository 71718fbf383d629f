"""What one attempt may harm: canary files, a victim process, listeners, all made for it and gone with it."""

import contextlib
import hashlib
import os
import pty
import resource
import secrets
import select
import shutil
import signal
import socket
import string
import subprocess
import tempfile
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coderm_slime.sandbox.attacks import processes
from coderm_slime.sandbox.attacks.case import Attack, Sign
from coderm_slime.sandbox.attacks.processes import Usage
from coderm_slime.sandbox.attacks.queues import Queues

VARIABLE = "CODERM_ATTACK_SECRET"
_FOR_ALL = 0o777
_ATTRIBUTE = "user.coderm"


@dataclass(frozen=True)
class Seen:
    """What an attempt showed by itself.

    Attributes:
        broke: whoever ran it failed.
        survivors: processes of it that were alive after its end.
    """

    output: str
    wall_s: float
    usage: Usage
    broke: bool
    survivors: int


class Scene:
    """The surroundings of one attempt. Use in a `with` block.

    Args:
        secret: what the caller keeps.
        packages: the interpreter's folder, for attempts inside; None: a throw-away one.
    """

    def __init__(self, attack: Attack, secret: str, packages: str | None) -> None:
        self.attack, self.secret = attack, secret
        self.mark = f"m{secrets.token_hex(6)}"
        self.left = f"left{secrets.token_hex(8)}"
        self._base = Path(tempfile.mkdtemp(prefix="coderm-attack-"))
        self._closing = contextlib.ExitStack()
        self._closing.callback(shutil.rmtree, self._base, ignore_errors=True)
        try:
            self._inside = packages is not None
            self._make_files()
            self._packages = Path(packages) if packages else self._folder("packages")
            self.victim = self._make_victim()
            self._listen()
            self._queues = Queues()
            self._closing.callback(self._queues.remove)
            self._before = (self._files(), self._state_of_victim())
        except BaseException:
            self._closing.close()
            raise

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        if os.path.ismount(self.folder):
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
        for folder in self._watched():
            with contextlib.suppress(OSError):
                (folder / self.mark).unlink()
        self.cwd.chmod(0o700)
        self._closing.close()

    def _folder(self, name: str) -> Path:
        path = self._base / name
        path.mkdir()
        path.chmod(_FOR_ALL)
        return path

    def _make_files(self) -> None:
        self._base.chmod(0o755)
        self.folder, self.home, self.cwd = (self._folder(name) for name in ("folder", "home", "cwd"))
        (self.home / ".ssh").mkdir()
        self._canary = self._file(self._base / "canary", "canary", 0o666)
        self._owned = self._file(self._base / "owned", "owned", 0o644)
        self._secret_file = self._file(self._base / "secret", self.secret, 0o600)
        self._open_file = self._file(self._base / "open", self.secret, 0o644)
        self._file(self.home / ".ssh" / "id_ed25519", self.secret, 0o644)
        self._file(self.home / f"{self.secret}.txt", "", 0o644)
        self._file(self.home / "secret_module.py", f"print({self.secret!r})", 0o644)
        with contextlib.suppress(OSError):  # some file systems have none
            os.setxattr(self._canary, _ATTRIBUTE, b"1")
        self.inherited = os.open(self._canary, os.O_RDWR | os.O_APPEND)
        self._closing.callback(os.close, self.inherited)
        if self.attack.drop:
            copy = self._base / "as_owner"
            shutil.copy(shutil.which("cat") or "/bin/cat", copy)
            copy.chmod(0o4755)

    @staticmethod
    def _file(path: Path, text: str, mode: int) -> Path:
        path.write_text(text)
        path.chmod(mode)
        return path

    def _make_victim(self) -> subprocess.Popen[bytes]:
        """A process that waits, with the secret in its environment, on its command line and behind a descriptor."""
        os.mkfifo(self._base / "never")
        command = ["/bin/sh", "-c", f"read x < {self._base}/never", self.secret]
        with self._secret_file.open() as secret:
            victim = subprocess.Popen(command, env={VARIABLE: self.secret}, stdin=secret, start_new_session=True)
        self._closing.callback(victim.wait)
        self._closing.callback(victim.kill)
        return victim

    def _listen(self) -> None:
        unix, internet = socket.AF_UNIX, socket.AF_INET
        self._streams = [self._bound(internet, socket.SOCK_STREAM, ("127.0.0.1", 0))]
        self._streams += [self._bound(unix, socket.SOCK_STREAM, f"\0{self.mark}-out")]
        self._streams += [self._bound(unix, socket.SOCK_STREAM, f"{self.folder}/stream")]
        self._datagrams = [self._bound(internet, socket.SOCK_DGRAM, ("127.0.0.1", 0))]
        self._datagrams += [self._bound(unix, socket.SOCK_DGRAM, f"{self.folder}/datagram")]
        self._six = None
        with contextlib.suppress(OSError):
            self._six = self._bound(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
            self._streams.append(self._six)
        for listener in self._streams:
            listener.listen()
        for name in ("stream", "datagram"):
            (self.folder / name).chmod(_FOR_ALL)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self._entered = False
        self._terminal = pty.openpty()
        tty.setraw(self._terminal[1])
        for descriptor in self._terminal:
            self._closing.callback(os.close, descriptor)

    def _bound(self, family: int, kind: int, address: object) -> socket.socket:
        listener = self._closing.enter_context(socket.socket(family, kind))
        listener.setblocking(False)
        listener.bind(address)  # type: ignore[arg-type]
        return listener

    def fill(self, source: str) -> str:
        """A case's program with the values of this scene."""
        at, size = processes.environment_of(self.victim.pid)
        return string.Template(source).substitute(
            MARK=self.mark,
            LEFT=self.left,
            NUMBER=int(self.mark[1:8], 16),
            INSIDE=int(self._inside),
            VARIABLE=VARIABLE,
            FOLDER=self.folder,
            HOME=self.home,
            TMP=tempfile.gettempdir(),
            PACKAGES=self._packages,
            CANARY=self._canary,
            OWNED=self._owned,
            SECRET_FILE=self._secret_file,
            OPEN_FILE=self._open_file,
            SET_USER_ID=self._base / "as_owner",
            VICTIM=self.victim.pid,
            QUEUE=self._queues.queue,
            SEMAPHORE=self._queues.semaphore,
            ENVIRONMENT_AT=at,
            ENVIRONMENT_SIZE=size,
            ALL=-1 if self._inside else -self.victim.pid,
            TCP=self._streams[0].getsockname()[1],
            TCP6=self._six.getsockname()[1] if self._six else 0,
            UDP=self._datagrams[0].getsockname()[1],
            PORT=self._port,
            TERMINAL=os.ttyname(self._terminal[1]),
        )

    def stir(self) -> None:
        """Do, during the attempt, what an attack may wait for: knock at its doors, make a file."""
        if self.attack.sign is Sign.ENTERED and not self._entered:
            for family, address in (
                (socket.AF_INET, ("127.0.0.1", self._port)),
                (socket.AF_UNIX, f"\0{self.mark}-in"),
            ):
                with socket.socket(family) as door, contextlib.suppress(OSError):
                    door.settimeout(0.1)
                    door.connect(address)
                    self._entered |= door.recv(99) == self.mark.encode()
        event = self.folder / f"{self.secret}.event"
        event.unlink() if event.exists() else event.touch()

    def succeeded(self, seen: Seen) -> bool:
        """Whether the attack's sign is there."""
        attack = self.attack
        tests: dict[Sign, Callable[[], bool]] = {
            Sign.LEAKED: lambda: any(token in seen.output for token in (self.secret, self.left, *_digests())),
            Sign.CHANGED: lambda: self._files() != self._before[0],
            Sign.HEARD: self._heard,
            Sign.ENTERED: lambda: self._entered,
            Sign.STRUCK: lambda: self._state_of_victim() != self._before[1],
            Sign.SURVIVED: lambda: seen.survivors > 0,
            Sign.HELD: lambda: any(attack.held in one for one in seen.usage.held),
            Sign.EXCEEDED: lambda: self._used(seen) > attack.bound,
            Sign.BROKE: lambda: seen.broke,
        }
        return tests[attack.sign]()

    def _used(self, seen: Seen) -> float:
        if self.attack.measure == "wall_s":
            return seen.wall_s
        if self.attack.measure == "output_bytes":
            return len(seen.output)
        return float(getattr(seen.usage, self.attack.measure))

    def _watched(self) -> tuple[Path, ...]:
        return (self.folder, self.home, self._packages, Path(tempfile.gettempdir()), Path("/dev/shm"))

    def _files(self) -> tuple[object, ...]:
        """Of canaries and queues all that can change, whether folders have anything by the attempt's name."""
        found: list[object] = [os.path.ismount(self.folder), self._queues.state()]
        for canary in (self._canary, self._owned):
            if canary.exists():
                status = canary.stat()
                found += [canary.read_bytes(), status.st_mode, status.st_uid, status.st_mtime_ns, status.st_nlink]
                found += [sorted(os.listxattr(canary))]
        return (*found, *(os.path.lexists(folder / self.mark) for folder in self._watched()))

    def _state_of_victim(self) -> tuple[object, ...]:
        if self.victim.poll() is not None:
            return ("dead",)
        pid = self.victim.pid
        stopped = processes.table()[pid].state in "TtZX"
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        scheduling = (os.sched_getscheduler(pid), os.sched_getaffinity(pid), os.getpriority(os.PRIO_PROCESS, pid))
        return (stopped, limits, scheduling, Path(f"/proc/{pid}/oom_score_adj").read_text())

    def _heard(self) -> bool:
        messages = []
        for listener in self._streams:
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.settimeout(0.2)
                messages.append(connection.recv(99))
        for listener in self._datagrams:
            with contextlib.suppress(OSError):
                messages.append(listener.recv(999))
        if select.select([self._terminal[1]], [], [], 0)[0]:
            messages.append(os.read(self._terminal[1], 99))
        return any(self.mark.encode() in message for message in messages)

    def end(self, pids: set[int]) -> None:
        """Kill what a control left."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _digests() -> list[str]:
    """Of the files that the cases read on this machine; without the right to read one, nothing."""
    found = []
    for path in ("/etc/passwd", "/etc/shadow"):
        with contextlib.suppress(OSError):
            found.append(hashlib.sha256(Path(path).read_bytes()).hexdigest())
    return found
