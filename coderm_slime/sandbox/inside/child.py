"""A run's own process between the fork and the first line of the program, and what follows the last."""

import atexit
import gc
import io
import mmap
import os
import signal
import sys
import time
import types
from fcntl import F_DUPFD_CLOEXEC, fcntl, ioctl

from .layers import Layers
from .wire import Request, State, unpack_payload

SETUP_DONE = b"."
_FIONREAD = 0x541B
_HIGH = 128  # descriptors are moved out of the way up to here, before they get their places; the server has fewer
_MOST = 2 * _HIGH
_UNREAD_WAIT_S, _UNREAD_WAITS = 0.0002, 50


class Files:
    """The descriptors of a run, as numbers."""

    def __init__(self, payload: int, stdin: int, stdout: int, stderr: int, setup: int, channels: "list[int]") -> None:
        self.payload, self.setup = payload, setup
        self.program = [stdin, stdout, stderr, *channels]


class _Ordered(io.FileIO):
    """A stream that waits, a little, until what the other one wrote has been read, so that their order shows."""

    last: "_Ordered | None" = None

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]
        other = _Ordered.last
        if other is not None and other is not self:
            for _ in range(_UNREAD_WAITS):
                if not int.from_bytes(ioctl(other.fileno(), _FIONREAD, b"\0\0\0\0"), sys.byteorder):
                    break
                time.sleep(_UNREAD_WAIT_S)
        _Ordered.last = self
        return super().write(data) or 0


def prepare(request: Request, layers: Layers, scratch: str, parent: int, files: Files) -> bytes:
    """Make this process the run's own and give back the program's source; on failure report and exit."""
    setup = fcntl(files.setup, F_DUPFD_CLOEXEC, _HIGH)
    try:
        os.chdir(scratch)
        layers.put_on(scratch, parent)
        arguments, contents = _read_payload(files.payload)
        _place(files.program, setup)
        layers.close_up(request)
        _write_files(contents)
        _set_up_interpreter(scratch, arguments)
        source = contents["main.py"]
    except BaseException as error:  # noqa: BLE001 - whatever it is, the server reports it and the process ends
        os.write(setup, f"{type(error).__name__}: {error}".encode("utf-8", "replace"))
        os._exit(1)
    os.write(setup, SETUP_DONE)
    os.close(setup)
    return source


def _read_payload(descriptor: int) -> "tuple[list[str], dict[str, bytes]]":
    with open(descriptor, "rb", buffering=0, closefd=False) as file:
        return unpack_payload(file.readall())


def _place(program: "list[int]", setup: int) -> None:
    high = [fcntl(descriptor, F_DUPFD_CLOEXEC, _HIGH) for descriptor in program]
    for place, descriptor in enumerate(high):
        os.dup2(descriptor, place)
    os.closerange(len(high), setup)
    os.closerange(setup + 1, _MOST)


def _write_files(contents: "dict[str, bytes]") -> None:
    for name, content in contents.items():
        if "/" in name:
            os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb", buffering=0) as file:
            file.write(content)


def _set_up_interpreter(scratch: str, arguments: "list[str]") -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    sys.argv = ["main.py", *arguments]
    sys.path.insert(0, scratch)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "strict")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "backslashreplace")  # type: ignore[misc]
    if "numpy.random" in sys.modules:  # `random` does it by itself after a fork
        sys.modules["numpy.random"].seed()
    gc.enable()


def _stream(descriptor: int, errors: str) -> io.TextIOWrapper:
    raw = _Ordered(descriptor, "w", closefd=False)
    stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors=errors, line_buffering=True)
    stream.mode = "w"  # type: ignore[misc]
    return stream


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
    main.__dict__.update(__file__=os.path.join(os.getcwd(), "main.py"), __builtins__=__builtins__)
    sys.modules["__main__"] = main
    try:
        exec(compile(source, "main.py", "exec", dont_inherit=True), main.__dict__)
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
        return code & 0xFF
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
