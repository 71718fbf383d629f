"""A run's own process between the fork and the first line of the program, and what follows the last."""

import atexit
import gc
import io
import mmap
import os
import site
import socket
import sys
import time
import types
from fcntl import F_DUPFD_CLOEXEC, fcntl, ioctl

from .layers import Layers
from .scratch import MAIN
from .wire import HEAD_BYTES, MAX_MESSAGE_BYTES, Request, State, pack_payload, unpack_payload

TAKEN, SETUP_DONE = b"t", b"."
_MAX_DESCRIPTORS = 32
_FIONREAD = 0x541B
_HIGH = 128  # descriptors are moved out of the way up to here, before they get their places; the server has fewer
_MOST = 2 * _HIGH
_REHEARSALS = 20  # after eight or so the interpreter specializes its code
_UNREAD_WAIT_S, _UNREAD_WAITS = 0.0002, 50


class Files:
    """What a run's process is given: the caller's socket, and descriptors as numbers."""

    def __init__(self, control: socket.socket, stdout: int, stderr: int, setup: int) -> None:
        self.control, self.stdout, self.stderr, self.setup = control, stdout, stderr, setup


class _Ordered(io.FileIO):
    """A stream that waits, a little, until what the other one wrote has been read, so that their order shows."""

    last: "_Ordered | None" = None

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        other = _Ordered.last
        if other is not None and other is not self:
            for _ in range(_UNREAD_WAITS):
                if not int.from_bytes(ioctl(other.fileno(), _FIONREAD, b"\0\0\0\0"), sys.byteorder):
                    break
                time.sleep(_UNREAD_WAIT_S)
        _Ordered.last = self
        return super().write(data) or 0


def prepare_interpreter(folder: str, state: mmap.mmap) -> None:
    """In the server, once: paths, the builtins that `site` adds, streams over descriptors 0, 1 and 2 as pipes."""
    site.setquit()
    site.setcopyright()
    site.sethelper()
    saved = [os.dup(descriptor) for descriptor in range(3)]
    pipe = os.pipe()
    for descriptor, stands_in in enumerate((pipe[0], pipe[1], pipe[1])):
        os.dup2(stands_in, descriptor)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "strict")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "backslashreplace")  # type: ignore[misc]
    _rehearse(state)
    for descriptor, old in enumerate(saved):
        os.dup2(old, descriptor)
        os.close(old)
    for descriptor in pipe:
        os.close(descriptor)
    os.environ.pop("LD_BIND_NOW", None)
    os.environ["HOME"] = os.environ["TMPDIR"] = folder


def _rehearse(state: mmap.mmap) -> None:
    """Run a program where it prints into a pipe: what the interpreter learns at first uses, each fork has then."""
    before = sys.modules["__main__"]
    for _ in range(_REHEARSALS):
        _, contents = unpack_payload(pack_payload((), {MAIN: b"print(1)"}))
        _run(contents[MAIN], state)
    sys.modules["__main__"] = before
    _Ordered.last = None


def _stream(descriptor: int, errors: str) -> io.TextIOWrapper:
    raw: io.FileIO = _Ordered(descriptor, "w", closefd=False)
    stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors=errors, line_buffering=True)
    stream.mode = "w"  # type: ignore[misc]
    return stream


def prepare(layers: Layers, folder: str, parent: int, files: Files) -> bytes:
    """In the child: make it the run's own and give back the program's source; on failure report and exit."""
    setup = fcntl(files.setup, F_DUPFD_CLOEXEC, _HIGH)
    try:
        message, descriptors, _, _ = socket.recv_fds(files.control, MAX_MESSAGE_BYTES, _MAX_DESCRIPTORS)
        os.write(setup, TAKEN)
        os.chdir(folder)
        layers.put_on(parent)
        request = Request.unpack(message[:HEAD_BYTES])
        arguments, contents = unpack_payload(message[HEAD_BYTES:] or _read(descriptors.pop(0)))
        stdin = descriptors.pop(0) if request.has_stdin else os.open("/dev/null", os.O_RDONLY)
        _place([stdin, files.stdout, files.stderr, *descriptors], setup)
        layers.close_up()
        sys.argv = [MAIN, *arguments]
        sys.path.insert(0, folder)  # here, not in the server: it must never import what a program wrote
        for name, content in contents.items():
            _write_file(name, content)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the server reports it and the process ends
        os.write(setup, f"{type(error).__name__}: {error}".encode("utf-8", "replace"))
        os._exit(1)
    os.write(setup, SETUP_DONE)
    os.close(setup)
    if "numpy.random" in sys.modules:  # `random` does it by itself after a fork
        sys.modules["numpy.random"].seed()
    gc.enable()
    return contents[MAIN]


def _read(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    content = os.read(descriptor, size)
    while len(content) < size:
        content += os.read(descriptor, size - len(content))
    return content


def _place(program: list[int], setup: int) -> None:
    high = [fcntl(descriptor, F_DUPFD_CLOEXEC, _HIGH) for descriptor in program]
    for place, descriptor in enumerate(high):
        os.dup2(descriptor, place)
    os.closerange(len(high), setup)
    os.closerange(setup + 1, _MOST)


def _write_file(name: str, content: bytes) -> None:
    if "/" in name:
        os.makedirs(os.path.dirname(name), exist_ok=True)
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.close(descriptor)


def execute(source: bytes, state: mmap.mmap) -> None:
    """Run `source` as `__main__` and exit as the interpreter would, with its exit code. Never returns."""
    code = 1
    try:
        code = _run(source, state)
        code = _finish(code)
    finally:
        os._exit(code)


def _run(source: bytes, state: mmap.mmap) -> int:
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=f"{os.getcwd()}/{MAIN}", __builtins__=__builtins__)
    sys.modules["__main__"] = main
    try:
        exec(compile(source, MAIN, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as error:
        return _exit_code(error.code)
    except BaseException as error:  # noqa: BLE001 - as the interpreter does at the top
        state[0] = State.MEMORY if isinstance(error, MemoryError) else State.EXCEPTION
        trace = error.__traceback__
        error.__traceback__ = trace and trace.tb_next  # without this file's own frame
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return int.__and__(code, 0xFF)  # a subclass may have changed it
    print(code, file=sys.stderr)  # noqa: T201 - what `sys.exit("text")` does
    return 1


def _finish(code: int) -> int:
    """What the interpreter does at its end: wait for threads, run what was left with atexit, flush."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    return code
