"""A rank's part of Hugging Face tensors, and the tensors again from all ranks' parts. Copies numbers, changes none."""

from collections.abc import Sequence

import torch

from rm_train.convert.names import Kind
from rm_train.shape import BackboneShape


def part_of(kind: Kind, tensors: Sequence[torch.Tensor], shape: BackboneShape, tp: int, rank: int) -> torch.Tensor:
    """The Megatron parameter of tensor-parallel rank `rank` of `tp`."""
    if kind is Kind.WHOLE:
        return tensors[0]
    if kind is Kind.GATED:
        return torch.cat([tensor.chunk(tp)[rank] for tensor in tensors])
    if kind is Kind.QKV:
        by_group = [_by_group(tensor, shape).chunk(tp)[rank] for tensor in tensors]
        return torch.cat(by_group, dim=1).flatten(0, 1)
    if kind is Kind.VOCAB:
        missing = shape.padded_vocab(tp) - len(tensors[0])
        return torch.cat([tensors[0], tensors[0].new_zeros(missing, shape.hidden)]).chunk(tp)[rank]
    return tensors[0].chunk(tp, dim=_shared_dimension(kind))[rank]


def whole_of(kind: Kind, parts: Sequence[torch.Tensor], shape: BackboneShape) -> list[torch.Tensor]:
    """The Hugging Face tensors, from the parts of all ranks in order."""
    if kind is Kind.WHOLE:
        return [parts[0]]
    if kind is Kind.GATED:
        halves = [part.chunk(2) for part in parts]
        return [torch.cat(side) for side in zip(*halves, strict=True)]
    if kind is Kind.QKV:
        return _apart(torch.cat(list(parts)), shape)
    joined = torch.cat(list(parts), dim=_shared_dimension(kind))
    return [joined[: shape.vocab] if kind is Kind.VOCAB else joined]


def shape_of(tensor: str, shape: BackboneShape) -> tuple[int, ...]:
    """Numbers that the Hugging Face tensor must have in each dimension."""
    q, kv = shape.heads * shape.head_dim, shape.kv_groups * shape.head_dim
    rows = {"q_proj": q, "k_proj": kv, "v_proj": kv, "gate_proj": shape.ffn, "up_proj": shape.ffn}
    stem, _, leaf = tensor.rpartition(".")
    name = stem.rpartition(".")[2]
    if name in rows:
        return (rows[name],) if leaf == "bias" else (rows[name], shape.hidden)
    others = {
        "o_proj": (shape.hidden, q),
        "down_proj": (shape.hidden, shape.ffn),
        "embed_tokens": (shape.vocab, shape.hidden),
        "score": (1, shape.hidden),
        "q_norm": (shape.head_dim,),
        "k_norm": (shape.head_dim,),
    }
    return others.get(name, (shape.hidden,))


def _shared_dimension(kind: Kind) -> int:
    return 1 if kind is Kind.COLUMNS else 0


def _by_group(tensor: torch.Tensor, shape: BackboneShape) -> torch.Tensor:
    """(groups, rows of a group, …) of a query, key or value tensor."""
    return tensor.reshape(shape.kv_groups, -1, *tensor.shape[1:])


def _apart(joined: torch.Tensor, shape: BackboneShape) -> list[torch.Tensor]:
    queries = shape.heads // shape.kv_groups * shape.head_dim
    by_group = _by_group(joined, shape).split([queries, shape.head_dim, shape.head_dim], dim=1)
    return [rows.flatten(0, 1).contiguous() for rows in by_group]
