"""The ranks of a run: who shares a model (tensor parallel), who reads other data (data parallel), what they add up.

Everything works without torchrun, too: then the world is one rank. Knows gradients, not losses or data.
"""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from coderm_slime.errors import CodermError
from rm_train import device

# How long a rank waits for the others. A dead rank is found at once by torchrun; this bounds what only looks alive.
# It covers the longest thing that one rank does alone: writing and probing a model of several billion parameters.
_PATIENCE = timedelta(minutes=30)
# Gradients travel in pieces of this size: few enough calls, and little memory for the copies.
_PIECE_ELEMENTS = 64 * 1024 * 1024


class ParallelError(CodermError):
    """The ranks cannot be laid out as asked, or their gradients cannot be used."""


@dataclass(frozen=True)
class Layout:
    """Where this rank stands: ranks of one `dp_rank` share one copy of the model, `tp` of them."""

    tp: int
    dp: int
    tp_rank: int
    dp_rank: int


def start(tp: int) -> Layout:
    """Join the ranks that torchrun started, or be a world of one without it.

    Raises:
        ParallelError: the ranks cannot be divided into groups of `tp`, or Megatron is missing.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if tp < 1 or world % tp:
        raise ParallelError(f"{world} ranks cannot be divided into groups of tensor parallel {tp}; start a multiple")
    device.choose()
    state = _parallel_state()
    if "RANK" in os.environ:
        dist.init_process_group(device.backend(), timeout=_PATIENCE)
    else:
        dist.init_process_group(device.backend(), timeout=_PATIENCE, store=dist.HashStore(), rank=0, world_size=1)
    state.initialize_model_parallel(tp, distributed_timeout_minutes=int(_PATIENCE.total_seconds() // 60))
    device.seed()
    return Layout(
        tp=tp,
        dp=state.get_data_parallel_world_size(),
        tp_rank=state.get_tensor_model_parallel_rank(),
        dp_rank=state.get_data_parallel_rank(),
    )


def stop() -> None:
    """Leave the ranks; once every one is done."""
    _parallel_state().destroy_model_parallel()
    dist.destroy_process_group()


def tp_group() -> Any:
    """The ranks that share this rank's model."""
    return _parallel_state().get_tensor_model_parallel_group()


def dp_group() -> Any:
    """The ranks that hold the same part of the model."""
    return _parallel_state().get_data_parallel_group()


def gradient_of(parameter: torch.nn.Parameter) -> torch.Tensor | None:
    """The gradient summed over micro-batches: in float32 beside the parameter where an `Optimizer` keeps one there."""
    gradient: torch.Tensor | None = getattr(parameter, "main_grad", parameter.grad)
    return gradient


def reduce_gradients(model: torch.nn.Module) -> None:
    """Add up every gradient over the ranks that saw other parts of it, in place; once an optimizer step.

    Over tensor-parallel ranks: those of norms on single heads (each rank saw its own heads) and, under sequence
    parallelism, of norms (each rank saw its own tokens). Over data-parallel ranks: all, as a sum, because losses are
    already divided by the global count. A parameter without a gradient counts as zero: ranks may have seen less data.
    """
    parameters = [(name, p, _gradient_or_zero(p)) for name, p in model.named_parameters() if p.requires_grad]
    partial = [gradient for name, p, gradient in parameters if _is_partial(name, p)]
    _sum_in_pieces(partial, tp_group())
    _sum_in_pieces([gradient for _, _, gradient in parameters], dp_group())


def clip_gradients(model: torch.nn.Module, max_norm: float) -> float:
    """Scale the reduced gradients so that their norm over the whole model is at most `max_norm`; give the norm before.

    A parameter that every tensor-parallel rank holds counts once.

    Raises:
        ParallelError: the norm is not finite. No gradient was changed, and no step may be taken with them.
    """
    parameters = [(p, g) for p in model.parameters() if (g := gradient_of(p)) is not None]
    mine = [g for p, g in parameters if getattr(p, "tensor_model_parallel", False) or dist.get_rank(tp_group()) == 0]
    squares = torch.stack([g.norm(dtype=torch.float32).double() ** 2 for g in mine]) if mine else torch.zeros(1)
    total = squares.sum().to(device.torch_device())
    dist.all_reduce(total, group=tp_group())
    norm = math.sqrt(float(total))
    if not math.isfinite(norm):
        raise ParallelError(f"the gradients' norm is {norm}: a loss or a weight is no finite number")
    if norm > max_norm:
        for _, gradient in parameters:
            gradient.mul_(max_norm / (norm + 1e-6))
    return norm


def sum_over_dp(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of every data-parallel rank's `tensor`, on the device that it came from."""
    total = tensor.detach().to(device.torch_device(), copy=True)
    dist.all_reduce(total, group=dp_group())
    return total.to(tensor.device)


def gather_over_dp(rows: torch.Tensor) -> torch.Tensor:
    """The rows of every data-parallel rank below each other, in the ranks' order.

    Args:
        rows: (rows, ...); ranks may hold different numbers of them, and none.
    """
    counts = [0] * dist.get_world_size(dp_group())
    dist.all_gather_object(counts, len(rows), group=dp_group())
    padded = rows.detach().new_zeros((max(counts), *rows.shape[1:]), device=device.torch_device())
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded, group=dp_group())
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)]).to(rows.device)


def _parallel_state() -> Any:
    try:
        from megatron.core import parallel_state
    except ImportError as error:
        raise ParallelError(f"megatron-core is missing ({error}): pip install 'coderm-slime[rm]'") from error
    return parallel_state


def _gradient_or_zero(parameter: torch.nn.Parameter) -> torch.Tensor:
    if (gradient := gradient_of(parameter)) is None:
        gradient = parameter.grad = torch.zeros_like(parameter)
    return gradient


def _is_partial(name: str, parameter: torch.nn.Parameter) -> bool:
    return "q_layernorm" in name or "k_layernorm" in name or bool(getattr(parameter, "sequence_parallel", False))


def broadcast(tensors: list[torch.Tensor], rank: int, group: Any) -> None:
    """Give every rank of `group` its rank `rank`'s `tensors`, in one message and in place."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.broadcast(flat, dist.get_global_rank(group, rank), group=group)
    _spread(flat, tensors)


def _spread(flat: torch.Tensor, tensors: list[torch.Tensor]) -> None:
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def _sum_in_pieces(tensors: Iterable[torch.Tensor], group: Any) -> None:
    if dist.get_world_size(group) == 1:
        return
    for piece in pieces(tensors, _PIECE_ELEMENTS):
        flat = torch.cat([tensor.reshape(-1) for tensor in piece])
        dist.all_reduce(flat, group=group)
        _spread(flat, piece)


def pieces(tensors: Iterable[torch.Tensor], limit: int) -> list[list[torch.Tensor]]:
    """`tensors` in order, in groups of one kind of number and at most `limit` elements; a larger one stands alone."""
    groups: list[list[torch.Tensor]] = []
    for tensor in tensors:
        fits = groups and sum(t.numel() for t in groups[-1]) + tensor.numel() <= limit
        if fits and groups[-1][0].dtype == tensor.dtype:
            groups[-1].append(tensor)
        else:
            groups.append([tensor])
    return groups
