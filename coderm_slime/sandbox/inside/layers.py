"""The layers of isolation: prepared once in the fork server, probed there in a child, put on in each run's child."""

import errno
import os
import resource
import signal
import socket
from collections.abc import Callable

from . import libc
from .landlock import Landlock, restrict_self
from .seccomp import Filter
from .wire import Request

_MIB = 1 << 20
_UID_LOCK = "\0coderm-slime-uid-{}"  # an abstract socket: free again whenever its process ends, and no file


class Layers:
    """What is on, why the rest is off, and how to put it on.

    Args:
        readable: for Landlock.
        devices: for Landlock.
        uids: user ids to choose one from, used by root only.

    Attributes:
        off: reasons by layer, of those that are missing.
        on: what is on, by layer, with details.
        uid: the runs' own, or None.
    """

    def __init__(self, readable: "list[str]", devices: "list[str]", uids: range, user_processes: int) -> None:
        self.on: "dict[str, str]" = {"session": "own session", "rlimits": "own limits"}
        self.off: "dict[str, str]" = {}
        self._user_processes = 0
        self.uid = self._take("uid", lambda: self._own_uid(uids))
        if self.uid is None:  # the limit counts all processes of a user
            self._user_processes = user_processes
        self._take("subreaper", lambda: libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1))
        self.landlock = self._take("landlock", lambda: Landlock(readable, devices))
        if self.landlock:
            self.on["landlock"] = f"version {self.landlock.version}"
        scopes = self.landlock is not None and self.landlock.scopes
        self._note("landlock_scope", None if scopes else "needs Landlock version 6 (Linux 6.12)")
        self.filter = self._take("seccomp", lambda: Filter(kill_freely=scopes or self.uid is not None))
        self._note("no_new_privs", None)

    def _take(self, name: str, make: "Callable[[], object]"):  # type: ignore[no-untyped-def]
        try:
            made = make()
        except OSError as error:
            self._note(name, str(error))
            return None
        self._note(name, None)
        return made

    def _note(self, name: str, missing: "str | None", detail: str = "") -> None:
        if missing is None:
            self.on[name] = detail
            self.off.pop(name, None)
        else:
            self.off[name] = missing
            self.on.pop(name, None)

    def _own_uid(self, uids: range) -> int:
        if os.geteuid() != 0:
            raise OSError(errno.EPERM, "not root: runs share the caller's user id")
        for uid in uids:
            self._lock = socket.socket(socket.AF_UNIX)
            try:
                self._lock.bind(_UID_LOCK.format(uid))
                return uid
            except OSError as error:
                self._lock.close()
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EUSERS, f"all of {len(uids)} user ids from {uids.start} are in use")

    def put_on(self, scratch: str, parent: int) -> None:
        """Put on all but what `close_up` does.

        Raises:
            OSError: a layer cannot be put on.
        """
        os.setsid()
        ruleset = self.landlock.prepare(scratch) if self.landlock else None
        if self.uid is not None:
            os.setgroups([])
            os.setresgid(self.uid, self.uid, self.uid)
            os.setresuid(self.uid, self.uid, self.uid)
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of the user id would clear it
        if os.getppid() != parent:
            os._exit(1)
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        if ruleset is not None:
            restrict_self(ruleset)
            os.close(ruleset)

    def close_up(self, request: Request) -> None:
        """The last step: limits and the filter, after which no descriptor can be moved and little else be done.

        Raises:
            OSError: one of them cannot be put on.
        """
        self._limit(request)
        if self.filter:
            self.filter.install()

    def _limit(self, request: Request) -> None:
        cpu_s = max(1, -int(-request.cpu_s // 1))
        for kind, soft, hard in (
            (resource.RLIMIT_AS, request.memory_bytes, request.memory_bytes),
            (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),  # first SIGXCPU, which tells this limit from others, then SIGKILL
            (resource.RLIMIT_FSIZE, request.file_bytes, request.file_bytes),
            (resource.RLIMIT_NOFILE, request.open_files, request.open_files),
            (resource.RLIMIT_NPROC, *[self._user_processes + request.processes] * 2),
            (resource.RLIMIT_CORE, 0, 0),
            (resource.RLIMIT_MEMLOCK, 8 * _MIB, 8 * _MIB),
        ):
            most = resource.getrlimit(kind)[1]
            if most != resource.RLIM_INFINITY:
                soft, hard = min(soft, most), min(hard, most)
            resource.setrlimit(kind, (soft, hard))
