"""The memory estimate agrees with what the model holds, and what cannot fit is refused."""

from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.torch  # and megatron-core, of the extra `rm`

KINDS = {"qwen2": {"qkv_bias": True}, "qwen3": {"qk_norm": True}, "llama": {}}
SEVEN_BILLION = {"layers": 28, "hidden": 3584, "ffn": 18944, "heads": 28, "kv_groups": 4, "head_dim": 128}


def shape(family: str = "qwen2", **numbers: Any) -> Any:
    from rm_train.shape import BackboneShape

    small = {"layers": 4, "hidden": 256, "ffn": 704, "heads": 8, "kv_groups": 4, "head_dim": 32, "vocab": 313}
    rest = {"max_positions": 512, "rms_eps": 1e-6, "rope_theta": 1e4, "qkv_bias": False, "qk_norm": False}
    return BackboneShape(**{"family": family, "tied": False, **small, **rest, **KINDS[family], **numbers})


def layout(tp: int, dp: int) -> Any:
    from rm_train.parallel import Layout

    return Layout(tp, dp, 0, 0)


@pytest.fixture(scope="module")
def alone() -> Iterator[Any]:
    from rm_train import parallel

    yield parallel.start(1)
    parallel.stop()


def kept_bytes(model: Any, batch: Any) -> int:
    """What autograd holds of a forward pass, without the weights."""
    import torch

    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held: dict[int, Any] = {}

    def hold(tensor: Any) -> Any:
        if (address := tensor.untyped_storage().data_ptr()) not in weights:
            held[address] = tensor  # held here, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        model(batch)
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values())


@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("family", KINDS)
def test_weights_and_activations_are_what_the_model_holds(family: str, mixed: bool, alone: Any) -> None:
    import torch

    from rm_train import memory, model
    from rm_train.packed import Packed

    made = model.build(shape(family), alone, torch.bfloat16 if mixed else torch.float32)
    need = memory.estimate(shape(family), alone, tokens_per_micro_batch=512, fused=False, mixed=mixed)
    assert need.weights == sum(parameter.nbytes for parameter in made.parameters())
    assert need.activations == pytest.approx(kept_bytes(made, Packed.of([[1] * 300, [2] * 212])), rel=0.1)


def test_seven_billion_parameters_in_bfloat16_take_18_bytes_each() -> None:
    from rm_train import memory

    big = shape(vocab=152064, max_positions=32768, **SEVEN_BILLION)
    need = memory.estimate(big, layout(1, 1), tokens_per_micro_batch=0, fused=True, mixed=True)
    assert need.total == 18 * big.parameters()


def test_more_ranks_need_less_of_each() -> None:
    from rm_train import memory

    def total(tp: int, dp: int, **options: Any) -> int:
        big = shape(vocab=152064, max_positions=32768, **SEVEN_BILLION)
        return memory.estimate(
            big, layout(tp, dp), tokens_per_micro_batch=16384, fused=True, mixed=True, **options
        ).total

    assert total(2, 4, recompute=True) < total(2, 4) < total(2, 1) < total(1, 1)


def test_what_cannot_fit_is_refused_with_what_would_help() -> None:
    from rm_train import memory

    big = shape(vocab=152064, max_positions=32768, **SEVEN_BILLION)
    options: dict[str, Any] = {"mixed": True, "fused": True, "available": 80 * 2**30}
    memory.fits(big, layout(2, 4), tokens_per_micro_batch=16384, recompute=True, **options)
    with pytest.raises(memory.DoesNotFit, match=r"it has 80\.0 GiB.*Use more tensor parallel ranks or more ranks"):
        memory.fits(big, layout(1, 1), tokens_per_micro_batch=4096, recompute=True, **options)
    with pytest.raises(memory.DoesNotFit, match="Read fewer tokens at once, or recompute activations"):
        memory.fits(big, layout(2, 4), tokens_per_micro_batch=65536, **options)


def test_this_machines_memory_is_known() -> None:
    from rm_train import device

    assert 2**28 < device.memory_bytes() < 2**50
