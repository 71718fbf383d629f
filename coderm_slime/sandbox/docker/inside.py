"""The first process in a container: waits for one job on stdin, runs it, tells its output and its end in frames.

Its text is passed to the image's `python -I -c`, so it stands alone and knows Python 3.8. `container` beside it writes
the job and reads the frames. When stdin ends, it ends, and with it the container: a caller that is killed
leaves none behind. Isolates nothing; the container does.

Job: 8 bytes of length, then JSON. Frame: 1 byte of kind, 4 of length, then that much. All big-endian.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import resource
import selectors
import struct
import subprocess
import sys
import tempfile
import threading
from typing import Any

READY, BEGUN, STDOUT, STDERR, END, FAILED = range(6)
_PR_SET_DUMPABLE = 4
_CHUNK_BYTES = 1 << 16


def tell(kind: int, content: bytes = b"") -> None:
    """Write one frame."""
    rest = memoryview(struct.pack(">BI", kind, len(content)) + content)
    while rest:
        rest = rest[os.write(1, rest) :]


def read_job() -> Any:
    """The job; ends the process if the caller is gone before it wrote one."""
    head = sys.stdin.buffer.read(8)
    if len(head) < 8:
        os._exit(0)
    (length,) = struct.unpack(">Q", head)
    return json.loads(sys.stdin.buffer.read(length))


def start(job: Any) -> subprocess.Popen[bytes]:
    """The program as a child with pipes for its output."""
    folder = tempfile.mkdtemp(prefix="run-")
    for name, content in job["files"].items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(content))
    stdin, path = tempfile.mkstemp()
    os.unlink(path)
    with open(stdin, "wb", closefd=False) as file:
        file.write(base64.b64decode(job["stdin"]))
    os.lseek(stdin, 0, os.SEEK_SET)

    def limit() -> None:
        for name, value in job["rlimits"].items():
            resource.setrlimit(getattr(resource, name), tuple(value))

    environment = {**job["environment"], "PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "TMPDIR": folder}
    return subprocess.Popen(
        [sys.executable, "-s", "-X", "utf8", "main.py", *job["arguments"]],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        preexec_fn=limit,
    )


def follow(child: subprocess.Popen[bytes]) -> None:
    """Tell what `child` writes until it has ended and what it had written by then is told."""
    ended, tell_end = os.pipe()

    def wait() -> None:
        child.wait()
        os.close(tell_end)

    threading.Thread(target=wait, daemon=True).start()
    assert child.stdout and child.stderr
    pipes = {child.stdout.fileno(): STDOUT, child.stderr.fileno(): STDERR}
    selector = selectors.DefaultSelector()
    for descriptor in (0, ended, *pipes):
        selector.register(descriptor, selectors.EVENT_READ)
    while True:
        ready = [key.fd for key, _ in selector.select()]
        if 0 in ready:  # nothing more is sent: this is its end
            os._exit(0)
        written = [descriptor for descriptor in ready if descriptor in pipes]
        for descriptor in written:
            data = os.read(descriptor, _CHUNK_BYTES)
            if data:
                tell(pipes[descriptor], data)
            else:
                selector.unregister(descriptor)
        if ended in ready and not written:
            return


def main() -> None:
    """Run one job."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)  # the program has the same user id; it must not reach in here
    tell(READY)
    job = read_job()
    try:
        child = start(job)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        tell(FAILED, str(error).encode("utf-8", "replace"))
        return
    tell(BEGUN)
    follow(child)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    tell(END, struct.pack(">id", child.returncode, used.ru_utime + used.ru_stime))


if __name__ == "__main__":
    main()
