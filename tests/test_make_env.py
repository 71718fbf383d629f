"""The set-up refuses to download a CUDA build by accident, and does nothing when nothing changed."""

import importlib.metadata
import io
import os
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools.make_env import cuda_packages, refuse_cuda_build, stamp_of, usable

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        (["filelock", "sympy>=1.13.3", "nvidia-ml-py; extra == 'monitor'"], []),
        (["nvidia-cublas-cu12==12.8; platform_system == 'Linux'", "triton==3.4"], ["nvidia-cublas-cu12"]),
        (["cuda-toolkit[cublas]==13.0", "NVIDIA-cudnn-cu13"], ["cuda-toolkit", "nvidia-cudnn-cu13"]),
    ],
)
def test_a_cuda_build_is_told_by_what_torch_asks_for(needs: list[str], found: list[str]) -> None:
    assert cuda_packages({"install": [{"metadata": {"name": "torch", "requires_dist": needs}}]}) == found
    assert cuda_packages({"install": [{"metadata": {"name": "torch"}}]}) == []


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


def wheel(name: str, requires: str = "") -> tuple[bytes, bytes]:
    """A wheel and its metadata, as a package index serves them."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.13.0\n{requires}".encode()
    info, buffer = f"{name.replace('-', '_')}-2.13.0.dist-info", io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return buffer.getvalue(), metadata


@pytest.fixture
def package_index() -> Iterator[tuple[str, list[str]]]:
    """A package index on this machine with a torch that needs a CUDA library, and the paths it was asked for."""
    wheels = {"torch": wheel("torch", "Requires-Dist: nvidia-cublas\n"), "nvidia-cublas": wheel("nvidia-cublas")}
    asked: list[str] = []

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            name = self.path.strip("/").split("/")[-1].split("-2.13.0")[0].replace("_", "-")
            whole, metadata = wheels[name]
            file = f"{name.replace('-', '_')}-2.13.0-py3-none-any.whl"
            page = f'<a href="/files/{file}" data-core-metadata="true">{file}</a>'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(metadata if ".metadata" in self.path else whole if ".whl" in self.path else page)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()


def test_a_cuda_build_is_refused_before_any_of_it_is_downloaded(package_index, monkeypatch, tmp_path: Path) -> None:
    url, asked = package_index
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.delenv("TORCH_CUDA", raising=False)
    # An environment with this one's pip alone: with its torch beside it there would be nothing to resolve.
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    (tmp_path / "bare").mkdir()
    # Not imported or looked up as a module: setuptools, and with it Megatron, could not be imported afterwards.
    (tmp_path / "bare" / "pip").symlink_to(str(importlib.metadata.distribution("pip").locate_file("pip")))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "bare"))
    with pytest.raises(SystemExit, match="CUDA build here"):
        refuse_cuda_build(tmp_path / "env" / "bin" / "python", [])
    assert any(path.endswith(".whl.metadata") for path in asked)
    assert not [path for path in asked if path.endswith(".whl")]


def test_an_environment_without_pip_or_of_another_python_is_not_used(tmp_path: Path) -> None:
    assert usable(Path(sys.executable))
    venv.create(tmp_path / "half", with_pip=False)  # what an interrupted creation leaves
    assert not usable(tmp_path / "half" / "bin" / "python")
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 2.7.18\n")
    other.chmod(0o755)
    assert not usable(other)
    assert not usable(tmp_path / "nothing")


def test_a_folder_that_is_no_environment_is_never_cleared(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    command = [sys.executable, str(ROOT / "tools/make_env.py"), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, "no virtual environment" in result.stderr) == (1, True)
    assert (tmp_path / "precious").read_text() == "mine"
