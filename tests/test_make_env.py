"""The set-up refuses to download a CUDA build by accident, and does nothing when nothing changed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.make_env import cuda_packages, stamp_of

ROOT = Path(__file__).resolve().parents[1]


def report(*names: str) -> dict:
    return {"install": [{"metadata": {"name": name}} for name in names]}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("torch", "sympy", "filelock"), []),
        (("torch", "nvidia-cublas-cu12", "triton"), ["nvidia-cublas-cu12"]),
        (("torch", "cuda-toolkit", "NVIDIA-cudnn-cu13"), ["cuda-toolkit", "nvidia-cudnn-cu13"]),
    ],
)
def test_cuda_libraries_are_found_in_a_resolution(names: tuple[str, ...], found: list[str]) -> None:
    assert cuda_packages(report(*names)) == found


def test_the_stamp_changes_with_what_the_environment_is_made_from(tmp_path: Path) -> None:
    constraint = tmp_path / "constraint.txt"
    constraint.write_text("numpy==1.26.4")
    stamps = {stamp_of("dev", None), stamp_of("test", None), stamp_of("dev", constraint)}
    assert len(stamps) == 3
    assert stamp_of("dev", None) in stamps


def test_a_second_run_with_the_same_stamp_starts_no_pip(tmp_path: Path) -> None:
    (tmp_path / "coderm.stamp").write_text(stamp_of("dev", None))
    command = [sys.executable, str(ROOT / "tools/make_env.py"), str(tmp_path)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["coderm.stamp"]  # not even an environment was made
