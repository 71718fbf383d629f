"""One run from the server's side: fork, watch, end all its processes, reply. It never reads what the run is about."""

import mmap
import os
import select
import signal
import socket
import time

from . import child, scratch
from .capped import Capped
from .layers import Layers
from .wire import CANCEL, Cause, Reply, Request, regions

FIRST_LOOK_S, NEXT_LOOKS_S = 0.05, 0.1  # at the scratch folder's size; most runs are over before
_CHILDREN = "/proc/self/task/{0}/children"


class Gone(Exception):
    """The caller has closed its end: nothing is left to do."""


class Run:
    """One run.

    Args:
        control: the socket to the caller.
        memory: shared with the caller; no child inherits it.
        staging: what is read passes through it.
    """

    def __init__(self, request: Request, layers: Layers, control: socket.socket, folder: str) -> None:
        self._request, self._layers, self._control, self._folder = request, layers, control, folder
        self._cause = Cause.EXITED
        self._cpu_s = 0.0
        self._status = 0

    def start(self, note: int) -> bytes | None:
        """Fork. In the parent None; in the child, which takes the request, the source, everything in place."""
        self._out, out = os.pipe()
        self._err, err = os.pipe()
        self._setup, setup = os.pipe()
        self._layers.prepare(self._request, self._folder)
        parent = os.getpid()
        self._began = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            return child.prepare(self._layers, self._folder, parent, child.Files(self._control, out, err, setup))
        os.pwrite(note, self.pid.to_bytes(4, "little"), 0)
        self._layers.forget()
        for descriptor in (out, err, setup):
            os.close(descriptor)
        return None

    def finish(self, memory: memoryview, staging: memoryview, state: mmap.mmap) -> bytes:
        """Wait for the end, end what is left, and pack the reply. Raises Gone after the same."""
        self._staging = staging
        self._said = os.read(self._setup, len(child.TAKEN))
        if self._said != child.TAKEN:
            self._control.recv(1)  # the request, else it would be the next run
        caps = [Capped(memory[at : at + size]) for at, size in regions(self._request.output_bytes)]
        self._sinks = {self._out: caps[0], self._err: caps[1]}
        self._at_end: list[int] = []
        self._log = caps[2]
        try:
            self._watch()
        finally:
            wall_s = time.monotonic() - self._began
            self._end_all()
            error = self._setup_error()
            for descriptor in (self._out, self._err):
                self._drain(descriptor)
                os.close(descriptor)
            scratch.remove(self._folder)
        totals = (caps[0].total, caps[1].total, self._log.total)
        cause = Cause.SETUP if error else self._cause
        return Reply(cause, self._status, wall_s, self._cpu_s, state[0], *totals).pack(error)

    def _watch(self) -> None:
        ended = os.pidfd_open(self.pid)
        poll = select.poll()
        for descriptor in (self._out, self._err, ended, self._control.fileno()):
            poll.register(descriptor, select.POLLIN)
        try:
            while self._cause == Cause.EXITED:
                ready = [descriptor for descriptor, _ in poll.poll(self._wait_ms())]
                for descriptor in ready:
                    if descriptor in self._sinks and not self._read(descriptor):
                        poll.unregister(descriptor)
                        self._at_end.append(descriptor)
                if self._control.fileno() in ready:
                    self._heed_caller()
                if ended in ready:
                    return
                self._check_limits()
        finally:
            os.close(ended)

    def _wait_ms(self) -> float:
        now = time.monotonic() - self._began
        self._next_look = FIRST_LOOK_S if now < FIRST_LOOK_S else now + NEXT_LOOKS_S
        return 1000 * max(0.0, min(self._request.wall_s, self._next_look) - now) + 1

    def _check_limits(self) -> None:
        now = time.monotonic() - self._began
        if now >= self._request.wall_s:
            self._cause = Cause.TIMEOUT
        elif self._log.total > self._request.max_output_bytes:
            self._cause = Cause.OUTPUT
        elif now >= self._next_look and not self._layers.tmpfs:
            size, files = scratch.used(self._folder, self._request.files)
            if size > self._request.disk_bytes or files > self._request.files:
                self._cause = Cause.DISK

    def _heed_caller(self) -> None:
        message = self._control.recv(len(CANCEL))
        if not message:
            raise Gone
        self._cause = Cause.CANCELLED

    def _read(self, descriptor: int) -> int:
        """Take what a pipe holds, up to the staging area's size; 0 at its end."""
        try:
            size = os.readv(descriptor, [self._staging])
        except BlockingIOError:
            return 0
        data = self._staging[:size]
        self._sinks[descriptor].add(data)
        self._log.add(data)
        return size

    def _drain(self, descriptor: int) -> None:
        """Take what the dead have left in a pipe."""
        if descriptor not in self._at_end:
            os.set_blocking(descriptor, False)
            while self._read(descriptor):
                pass

    def _setup_error(self) -> str:
        """Empty, or why the program never began. What it did itself cannot show here: it has no such descriptor."""
        said = (self._said + os.read(self._setup, 4096)).removeprefix(child.TAKEN)
        os.close(self._setup)
        if said == child.SETUP_DONE:
            return ""
        return said.decode("utf-8", "replace") or f"the process ended before the program began ({self._status})"

    def _end_all(self) -> None:
        """Kill and reap every process of the run. They share one group, which none can leave but without seccomp."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(self.pid, signal.SIGKILL)  # it had not called setsid yet
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if pid == 0:
                    self._kill_children()
                    pid, status, usage = os.wait4(-1, 0)
            except ChildProcessError:
                return
            self._cpu_s += usage.ru_utime + usage.ru_stime
            if pid == self.pid:
                self._status = status

    @staticmethod
    def _kill_children() -> None:
        with open(_CHILDREN.format(os.getpid())) as file:
            for pid in file.read().split():
                os.kill(int(pid), signal.SIGKILL)
