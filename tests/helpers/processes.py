"""Server processes that live as long as a `with` block."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent


@contextmanager
def fault_server(mode: str) -> Iterator[str]:
    """The URL of a misbehaving server, see fault_server.py for its modes."""
    with _running([sys.executable, str(HERE / "fault_server.py"), mode], r"(http://\S+)") as url:
        yield url


@contextmanager
def coderm_serve(model: Path) -> Iterator[str]:
    """The URL of a real `coderm serve` of `model`."""
    command = [sys.executable, "-m", "coderm_slime", "serve", "--model", str(model), "--port", "0"]
    with _running(command, r"serving .* at (http://\S+)") as url:
        yield url


@contextmanager
def _running(command: list[str], pattern: str) -> Iterator[str]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield _wait_for(process, pattern)
        finally:
            process.kill()


def _wait_for(process: subprocess.Popen, pattern: str) -> str:
    """Read output until it names the address; pytest's own timeout bounds a server that says nothing."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if match := re.search(pattern, line):
            return match.group(1)
    raise RuntimeError(f"{process.args} ended with {process.wait()} before it listened:\n{''.join(seen)}")
