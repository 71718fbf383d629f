"""Tests that need a GPU carry the mark `gpu`, and are not collected where there is none: docs/gpu_checklist.md."""

import shutil

import pytest

collect_ignore = [] if shutil.which("nvidia-smi") else ["test_gpu.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: needs a GPU and TransformerEngine; docs/gpu_checklist.md")
