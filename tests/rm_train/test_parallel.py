"""Ranks add up what they should, write one model together, and end together when one of them dies."""

import os
from pathlib import Path
from typing import Any

import pytest

from helpers import ranks, tiny

pytestmark = pytest.mark.torch  # and megatron-core, of the extra `rm`


@pytest.fixture(scope="module")
def died() -> Any:
    """Two ranks, of which one dies once both have added up."""
    return ranks.torchrun(2, "parallel_ranks.py", "adds_up_and_dies")


def test_two_ranks_add_up_gradients_and_rows_though_one_has_none(died: Any) -> None:
    assert died.stdout.count("all adds up") == 2, died.stderr[-4000:]


def test_a_dead_rank_ends_the_job_with_its_error(died: Any) -> None:
    assert died.returncode not in (0, 124, 137), "124 and 137: it hung until it was killed"
    assert "this rank is meant to die" in died.stderr
    assert "nobody gets here" not in died.stderr


def test_two_ranks_sum_gradients_in_float32_and_export_one_bfloat16_model(tmp_path: Path) -> None:
    import torch
    import transformers
    from safetensors.torch import load_file

    folder = tiny.reward_model(tmp_path / "model", "llama", spread=8.0, vocab_size=313)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    done = ranks.torchrun(2, "parallel_ranks.py", "exports", 2, folder, tmp_path / "out")
    assert done.returncode == 0, done.stderr[-4000:]
    files = (tmp_path / "out").glob("*.safetensors")
    written = {name: tensor for file in files for name, tensor in load_file(file).items()}
    before = model.state_dict()
    assert written.keys() == before.keys()
    assert all(torch.equal(written[name], before[name]) for name in before)


def test_ranks_that_do_not_divide_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from rm_train import parallel

    monkeypatch.setitem(os.environ, "WORLD_SIZE", "3")
    with pytest.raises(parallel.ParallelError, match="3 ranks cannot be divided into groups of tensor parallel 2"):
        parallel.start(2)


def test_parameters_are_shared_out_evenly_and_the_same_on_every_rank() -> None:
    import torch

    from rm_train.optimizer import _owners

    sizes = {"a": 8, "b": 5, "c": 4, "d": 1, "e": 1}
    parameters: dict[str, Any] = {name: torch.nn.Parameter(torch.zeros(size)) for name, size in sizes.items()}
    owners = _owners(parameters, 2)
    assert owners == _owners(dict(reversed(parameters.items())), 2)
    assert {sum(sizes[name] for name in sizes if owners[name] == rank) for rank in (0, 1)} == {9, 10}
