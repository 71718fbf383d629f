"""The layers of isolation: prepared once in the fork server, probed there in a child, put on in each run's child."""

import errno
import math
import os
import resource
import socket
from collections.abc import Callable
from typing import TypeVar

from . import libc, scratch
from .landlock import Landlock, restrict_self
from .seccomp import Filter, run_filter, server_filter
from .tmpfs import Tmpfs
from .wire import Request

_SIGKILL = 9
_UNLIMITED = 1 << 62
_LIMITS = ("AS", "CPU", "FSIZE", "NOFILE", "NPROC", "CORE")
_T = TypeVar("_T")
_UID_LOCK = "\0coderm-slime-uid-{}"  # an abstract socket: free again whenever its process ends, and no file


class Layers:
    """What is on, why the rest is off, and how to put it on.

    Args:
        readable: for Landlock.
        devices: for Landlock.
        uids: user ids to choose one from, used by root only.
        user_processes: how many the user has already where the runs share his id.
        scratch_folder: that of the runs' own folders.

    Attributes:
        off: reasons by layer, of those that are missing.
        on: what is on, by layer, with details.
        uid: the runs' own, or None.
    """

    def __init__(
        self, readable: list[str], devices: list[str], uids: range, user_processes: int, scratch_folder: str
    ) -> None:
        self.on: dict[str, str] = {"session": "own session", "rlimits": "own limits"}
        self.off: dict[str, str] = {}
        self._user_processes = 0
        self._ruleset: int | None = None
        kinds = [getattr(resource, f"RLIMIT_{name}") for name in _LIMITS]
        hard = {kind: resource.getrlimit(kind)[1] for kind in kinds}
        self._most = {kind: _UNLIMITED if most == resource.RLIM_INFINITY else most for kind, most in hard.items()}
        self.uid = self._take("uid", lambda: self._own_uid(uids))
        if self.uid is None:  # the limit counts all processes of a user
            self._user_processes = user_processes
        self.tmpfs = self._take("tmpfs", lambda: Tmpfs(scratch_folder))
        if self.tmpfs is None:
            self.off["tmpfs"] += "; the scratch folder's size is watched instead"
        self._take("subreaper", lambda: libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1))
        self.landlock = self._take("landlock", lambda: _tried_landlock(Landlock(readable, devices), scratch_folder))
        if self.landlock:
            self.on["landlock"] = f"version {self.landlock.version}"
        scopes = self.landlock is not None and self.landlock.scopes
        self._note("landlock_scope", None if scopes else "needs Landlock version 6 (Linux 6.12)")
        own = self.uid is not None
        self.filter = self._take("seccomp", lambda: _tried_filter(run_filter(scopes or own, own)))
        if self.filter:
            libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
            server_filter().install()
        self._note("no_new_privs", None)

    def _take(self, name: str, make: Callable[[], object]):  # type: ignore[no-untyped-def]
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
                break
            except OSError as error:
                self._lock.close()
                if error.errno != errno.EADDRINUSE:
                    raise
        else:
            raise OSError(errno.EUSERS, f"all of {len(uids)} user ids from {uids.start} are in use")
        _in_child(lambda: _become(uid))  # a container may have no such id
        os.setgroups([])
        return uid

    def prepare(self, request: Request, folder: str) -> None:
        """In the server, before the fork: what writes there costs no copy of a page."""
        if self.tmpfs:
            self.tmpfs.fit(request.disk_bytes, request.files)
        scratch.make(folder, self.uid)
        self._ruleset = self.landlock.prepare(folder) if self.landlock else None
        processes = self._user_processes + request.processes
        cpu_s = max(1, math.ceil(request.cpu_s))
        wanted = (
            (resource.RLIMIT_AS, request.memory_bytes, request.memory_bytes),
            (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),  # first SIGXCPU, which tells this limit from others, then SIGKILL
            (resource.RLIMIT_FSIZE, request.file_bytes, request.file_bytes),
            (resource.RLIMIT_NOFILE, request.open_files, request.open_files),
            (resource.RLIMIT_NPROC, processes, processes),
            (resource.RLIMIT_CORE, 0, 0),
        )
        self._limits = [
            (kind, (min(soft, self._most[kind]), min(hard, self._most[kind]))) for kind, soft, hard in wanted
        ]

    def forget(self) -> None:
        """In the server, after the fork."""
        if self._ruleset is not None:
            os.close(self._ruleset)

    def put_on(self, parent: int) -> None:
        """In the child: put on all but what `close_up` does.

        Raises:
            OSError: a layer cannot be put on.
        """
        os.setsid()
        if self.uid is not None:
            _become(self.uid)
        libc.prctl(libc.PR_SET_PDEATHSIG, _SIGKILL)  # a change of the user id would clear it
        if os.getppid() != parent:
            os._exit(1)
        if not self.filter:  # else the server has done it
            libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        if self._ruleset is not None:
            restrict_self(self._ruleset)

    def close_up(self) -> None:
        """In the child, the last step: limits and the filter. Then no descriptor can be moved up any more.

        Raises:
            OSError: one of them cannot be put on.
        """
        for kind, limit in self._limits:
            resource.setrlimit(kind, limit)
        if self.filter:
            self.filter.install()


def _become(uid: int) -> None:
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if os.getuid() != uid:  # -1 asks for no change
        raise OSError(errno.EINVAL, f"this process could not take the user id {uid}")


def _tried_landlock(landlock: Landlock, folder: str) -> Landlock:
    """`landlock`, after a child has seen that it closes /."""

    def attempt() -> None:
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        restrict_self(landlock.prepare(folder))
        _must_fail(lambda: os.listdir("/"))

    _in_child(attempt)
    return landlock


def _tried_filter(found: Filter) -> Filter:
    """`found`, after a child has seen that it refuses sockets."""

    def attempt() -> None:
        libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
        server_filter().install()
        found.install()
        _must_fail(socket.socket)

    _in_child(attempt)
    return found


def _must_fail(action: Callable[[], object]) -> None:
    try:
        action()
    except PermissionError:
        return
    raise OSError(errno.ENOTSUP, "it has no effect")


def _in_child(action: Callable[[], None]) -> None:
    """Do it in a child that ends then.

    Raises:
        OSError: it failed there.
    """
    pid = os.fork()
    if pid == 0:
        code = errno.EIO
        try:
            action()
            code = 0
        except OSError as error:
            code = error.errno or code
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != 0:
        raise OSError(code, os.strerror(code) if code > 0 else f"the attempt was ended by signal {-code}")
