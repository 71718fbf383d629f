"""Server processes that live as long as a `with` block."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
START_S = 60


@contextmanager
def fault_server(mode: str) -> Iterator[str]:
    """The URL of a misbehaving server, see fault_server.py for its modes."""
    command = [sys.executable, str(HERE / "fault_server.py"), mode]
    with _running(command, r"(http://\S+)", subprocess.PIPE, subprocess.STDOUT) as url:
        yield url


@contextmanager
def coderm_serve(model: Path) -> Iterator[str]:
    """The URL of a real `coderm serve` of `model`."""
    command = [sys.executable, "-m", "coderm_slime", "serve", "--model", str(model), "--port", "0"]
    with _running(command, r"Uvicorn running on (http://\S+)", subprocess.PIPE, subprocess.STDOUT) as url:
        yield url


@contextmanager
def _running(command: list[str], pattern: str, stdout: int, stderr: int) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=stdout, stderr=stderr, text=True)
    try:
        yield _wait_for(process, pattern)
    finally:
        process.kill()
        process.wait()


def _wait_for(process: subprocess.Popen, pattern: str) -> str:
    """Read output until it names the address; pytest's own timeout bounds a server that says nothing."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if match := re.search(pattern, line):
            return match.group(1)
    raise RuntimeError(f"{process.args} ended with {process.wait()} before it listened:\n{''.join(seen)}")
