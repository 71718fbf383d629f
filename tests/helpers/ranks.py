"""Real ranks for tests: a module of tests/rm_train run by torchrun, each process with one thread."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 250  # a busy machine needs a while for many processes to import torch; under pytest's own limit


def launch(ranks: int, script: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run tests/rm_train/SCRIPT on `ranks` processes to its end: several by torchrun, one without it."""
    return torchrun(ranks, script, *arguments) if ranks > 1 else alone(script, *arguments)


def torchrun(ranks: int, script: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run it by torchrun."""
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    path = ROOT / "tests" / "rm_train" / script
    command = ["timeout", "-k", "5", str(_PATIENCE_S), sys.executable, *command, str(path), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False)


def alone(script: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run it as one process without torchrun."""
    command = [sys.executable, str(ROOT / "tests" / "rm_train" / script), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False, timeout=_PATIENCE_S
    )


def environment() -> dict[str, str]:
    """Of a rank: one thread, and this checkout's packages and helpers before any installed ones."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
