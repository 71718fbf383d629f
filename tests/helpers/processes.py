"""Server processes that live as long as a `with` block."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def coderm(*arguments: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """A run of the command line to its end."""
    command = [sys.executable, "-m", "coderm_slime", *map(str, arguments)]
    env = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=250, check=False)


def path_without(folder: Path, *modules: str) -> str:
    """A PYTHONPATH under which a child process finds none of `modules`, whatever is installed."""
    hide = "".join(f"sys.modules[{module!r}] = None\n" for module in modules)
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\n{hide}")
    return str(folder)


@contextmanager
def fault_server(mode: str) -> Iterator[str]:
    """The URL of a misbehaving server, see fault_server.py for its modes."""
    with server_process([sys.executable, str(HERE / "fault_server.py"), mode], r"(http://\S+)") as (url, _):
        yield url


@contextmanager
def coderm_serve(model: Path) -> Iterator[str]:
    """The URL of a real `coderm serve` of `model`."""
    with killable_serve(model) as (url, _):
        yield url


@contextmanager
def killable_serve(model: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """A real `coderm serve` of `model`: its URL, and its process to kill."""
    command = [sys.executable, "-m", "coderm_slime", "serve", "--model", str(model), "--port", "0"]
    with server_process(command, r"serving .* at (http://\S+)") as running:
        yield running


@contextmanager
def sglang_router(*workers: str) -> Iterator[str]:
    """The URL of the real sglang-router in front of workers that all answer."""
    port = free_port()
    command = [sys.executable, "-m", "sglang_router.launch_router", "--host", "127.0.0.1", "--port", str(port)]
    metrics = ["--prometheus-port", str(free_port())]
    with server_process(
        [*command, *metrics, "--worker-urls", *workers], r"(Starting server on|listening on|Router ready)"
    ):
        url = f"http://127.0.0.1:{port}"
        _wait_until(
            lambda: _status(f"{url}/get_model_info") == 200
        )  # its workers are added some time after it listens
        yield url


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _wait_until(holds: Callable[[], bool]) -> None:
    while not holds():  # pytest's own timeout bounds it
        time.sleep(0.1)


@contextmanager
def server_process(command: list[str], pattern: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    env = {**os.environ, **environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as process:
        try:
            found = _wait_for(process, pattern)
            # Read on: a server whose pipe is full stops at its next line.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield found, process
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


@contextmanager
def coderm_sandbox_serve(*options: object, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """A real `coderm sandbox serve` of the real sandbox: its URL, and its process to kill."""
    command = [sys.executable, "-m", "coderm_slime", "sandbox", "serve", "--port", "0", *map(str, options)]
    with server_process(command, r"sandbox of \d+ workers at (http://\S+)", **environment) as running:
        yield running


@contextmanager
def fake_fusion(mode: str) -> Iterator[str]:
    """The URL of a FAKE SandboxFusion, see fake_fusion.py for its modes."""
    with server_process([sys.executable, str(HERE / "fake_fusion.py"), mode], r"(http://\S+)") as (url, _):
        yield url
