"""The GPU side of rm_train/device.py: NOT RUN by its authors, see docs/gpu_checklist.md. Needs slime's image."""

from pathlib import Path

import pytest

from helpers import ranks, tiny

pytestmark = [pytest.mark.torch, pytest.mark.gpu]


def run(tmp_path: Path, gpus: int, *arguments: object) -> None:
    """A check of gpu_ranks.py on a model of each family."""
    import torch

    if torch.cuda.device_count() < gpus:
        pytest.fail(f"{torch.cuda.device_count()} GPUs; this check needs {gpus}")
    shape = {"hidden_size": 256, "intermediate_size": 512, "head_dim": 64, "vocab_size": 313}
    for family in ("qwen2", "qwen3", "llama"):
        folder = tiny.reward_model(tmp_path / family, family, spread=8.0, **shape)
        done = ranks.torchrun(gpus, "gpu_ranks.py", gpus, *arguments, folder)
        assert done.returncode == 0, f"{family}: {done.stderr[-4000:]}"


@pytest.mark.parametrize("recompute", ["keep", "recompute"])
def test_one_gpu_gives_hugging_faces_scores_and_gradients(recompute: str, tmp_path: Path) -> None:
    run(tmp_path, 1, "parity", recompute)


@pytest.mark.parametrize("recompute", ["keep", "recompute"])
def test_two_gpus_give_hugging_faces_scores_and_gradients(recompute: str, tmp_path: Path) -> None:
    run(tmp_path, 2, "parity", recompute)


def test_resume_on_one_gpu_of_a_checkpoint_from_two(tmp_path: Path) -> None:
    run(tmp_path, 2, "save", tmp_path / "checkpoints")
    folder = tmp_path / "llama"  # the last one that `run` made and saved
    done = ranks.torchrun(1, "gpu_ranks.py", 1, "resume", tmp_path / "checkpoints", folder)
    assert done.returncode == 0, done.stderr[-4000:]


def test_memory_is_about_what_was_estimated(tmp_path: Path) -> None:
    run(tmp_path, 1, "memory", "")
