"""The fork server: one worker of the pool. It prepares the interpreter once and forks it for each run, one at a time.

It is started with a clean environment and knows neither the caller's memory nor his files; of the programs it learns
only their limits.
"""

import gc
import json
import mmap
import os
import socket
import sys
from typing import Any

from . import child, libc
from .layers import Layers
from .supervise import Gone, Run
from .wire import CANCEL, HEAD_BYTES, Options, Request

_STAGING_BYTES = 64 << 10  # what a pipe holds
_ERROR_CHARS = 2000
# Freed in a child, these would close descriptors that are the program's own by then, and unmap what is not theirs.
_kept: list[object] = []


def main(**options: Any) -> None:
    """Serve until the caller closes the socket; in a child, become its program.

    Args:
        options: of `Options`.
    """
    state = mmap.mmap(-1, mmap.PAGESIZE)
    source = _serve(Options(**options), state)
    if source is not None:
        child.execute(source, state)


def _serve(options: Options, state: mmap.mmap) -> bytes | None:
    control = socket.socket(fileno=options.control)
    folder = os.path.join(options.scratch, str(os.getpid()))  # of one run after another
    try:
        _prepare_interpreter(options, folder, state)
    except Exception as error:  # noqa: BLE001 - a module's import may raise anything, and the caller is told
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"[:_ERROR_CHARS]}).encode())
        return None
    layers = Layers(
        options.readable,
        options.devices,
        range(options.uid_first, options.uid_first + options.uid_count),
        options.user_processes,
        options.scratch,
    )
    memory = mmap.mmap(options.memory, 0)
    memory.madvise(mmap.MADV_DONTFORK)
    _kept.extend((control, layers, memory))
    os.close(options.memory)
    view = memoryview(memory)
    staging, view = view[-_STAGING_BYTES:], view[:-_STAGING_BYTES]
    gc.collect()
    gc.freeze()
    libc.trim()  # pages that hold nothing would be copied with the others at each fork
    hello = {"on": layers.on, "off": layers.off, "uid": layers.uid}
    control.send(json.dumps(hello).encode())
    while head := control.recv(HEAD_BYTES, socket.MSG_PEEK):
        if head == CANCEL:  # it crossed the reply of the run that it was for
            control.recv(len(CANCEL))
            continue
        state[:] = bytes(len(state))  # State.NONE; and no message from one run to the next
        run = Run(Request.unpack(head), layers, control, folder)
        source = run.start(options.note)
        if source is not None:
            return source
        try:
            control.send(run.finish(view, staging, state))
        except (Gone, BrokenPipeError):
            break
    return None


def _prepare_interpreter(options: Options, folder: str, state: mmap.mmap) -> None:
    """What programs find: the builtins that `site` adds, third-party packages on the path, modules imported."""
    gc.disable()
    sys.dont_write_bytecode = True
    sys.path[:] = [path for path in sys.path if path != options.own_path] + options.packages
    for name in options.imports:
        __import__(name)
    child.prepare_interpreter(folder, state)
