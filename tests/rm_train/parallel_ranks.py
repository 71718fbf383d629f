"""What two ranks of the tests of parallel.py do; run by torchrun. Any failed check ends the run.

python parallel_ranks.py (adds_up_and_dies | exports TP MODEL OUT)
"""

import sys
from pathlib import Path

import pytest
import torch

from rm_train import convert, model, parallel
from rm_train.optimizer import Optimizer
from rm_train.packed import Packed
from rm_train.shape import BackboneShape


def adds_up_and_dies() -> None:
    layout = parallel.start(1)
    assert (layout.dp, layout.dp_rank) == (2, torch.distributed.get_rank())
    rows = torch.full((layout.dp_rank, 2), float(layout.dp_rank))  # the first rank has none
    assert parallel.gather_over_dp(rows).tolist() == [[1.0, 1.0]]
    assert parallel.sum_over_dp(torch.tensor([1.0, layout.dp_rank])).tolist() == [2.0, 1.0]
    a_rank_without_data_counts_as_zero(layout)
    a_norm_that_is_no_number_is_an_error()
    sys.stdout.write("all adds up\n")
    sys.stdout.flush()
    torch.distributed.barrier()
    if layout.dp_rank == 1:
        raise RuntimeError("this rank is meant to die")
    parallel.sum_over_dp(torch.ones(1))
    raise AssertionError("the other rank never came, so nobody gets here")


def a_rank_without_data_counts_as_zero(layout: parallel.Layout) -> None:
    layer = torch.nn.Linear(3, 1, bias=False)
    if layout.dp_rank == 1:
        layer(torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    parallel.reduce_gradients(layer)
    assert layer.weight.grad.tolist() == [[1.0, 2.0, 3.0]]
    assert parallel.clip_gradients(layer, 1.0) == pytest.approx(14**0.5)
    assert float(layer.weight.grad.norm()) == pytest.approx(1.0, abs=1e-4)


def a_norm_that_is_no_number_is_an_error() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    layer(torch.tensor([float("inf")])).sum().backward()
    with pytest.raises(parallel.ParallelError, match="norm is inf"):
        parallel.clip_gradients(layer, 1.0)


def exports(tp: int, folder: Path, out: Path) -> None:
    layout = parallel.start(tp)
    reward_model = model.build(BackboneShape.of(folder), layout, torch.bfloat16)
    convert.load(folder, reward_model, convert.Head.KEPT)
    gradients_are_summed_in_float32(reward_model)
    gradients_are_summed_in_float32(reward_model)  # the optimizer before left nothing behind
    card = convert.export(reward_model, folder, out, max_tokens=256)
    assert (card is None) == (torch.distributed.get_rank() > 0)


def gradients_are_summed_in_float32(reward_model: model.RewardModel) -> None:
    """40 equal micro-batches: a sum in bfloat16 would be off by parts in a hundred."""
    optimizer = Optimizer(reward_model, lr=1e-3)
    weight = reward_model.score.weight
    reward_model(Packed.of([[1, 2, 3]])).sum().backward()
    once = parallel.gradient_of(weight).clone()
    for _ in range(39):
        reward_model(Packed.of([[1, 2, 3]])).sum().backward()
    assert weight.grad is None
    assert torch.allclose(parallel.gradient_of(weight), 40 * once, rtol=1e-4)
    optimizer.close()
    assert parallel.gradient_of(weight) is None


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "adds_up_and_dies":
        adds_up_and_dies()
    else:
        exports(int(arguments[0]), Path(arguments[1]), Path(arguments[2]))
    parallel.stop()
