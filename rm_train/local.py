"""The two parts of megatron-core's local layers that would not run on a CPU: attention over packs, rotary angles."""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention


class SdpaCoreAttention(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Causal attention within each sequence of a pack, one SDPA call each: exact, and no work across sequences.

    Takes the place of megatron-core's `DotProductAttention`, which refuses packs; hence the arguments.
    """

    def __init__(self, config: Any, softmax_scale: float | None = None, **unused: Any) -> None:
        super().__init__()
        self._scale = softmax_scale  # None is SDPA's own, 1 / sqrt(head_dim)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        *,
        packed_seq_params: Any,
        **unused: Any,
    ) -> torch.Tensor:
        """Attend; query is (tokens, heads, head_dim), key and value (tokens, kv_groups, head_dim)."""
        starts = packed_seq_params.cu_seqlens_q
        lengths = (starts[1:] - starts[:-1]).tolist()
        sequences = zip(query.split(lengths), key.split(lengths), value.split(lengths), strict=True)
        return torch.cat([self._one(*sequence) for sequence in sequences])

    def _one(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        q, k, v = (tensor.transpose(0, 1)[None] for tensor in (query, key, value))
        grouped = q.shape[1] != k.shape[1]
        attended = scaled_dot_product_attention(q, k, v, is_causal=True, scale=self._scale, enable_gqa=grouped)
        return attended[0].transpose(0, 1)


class LocalRotary(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Rotary angles on the CPU, where megatron-core would send them to a GPU."""

    def __init__(self, frequencies: torch.Tensor) -> None:
        super().__init__()
        self._frequencies = frequencies

    @classmethod
    def like(cls, rotary: Any) -> "LocalRotary":
        """The same angles as megatron-core's `RotaryEmbedding`."""
        return cls(rotary.inv_freq)

    def get_rotary_seq_len(self, *unused: Any) -> int:
        """How many positions the pack's longest sequence needs."""
        longest: int = unused[-1].max_seqlen_q
        return longest

    def forward(self, positions: int, **unused: Any) -> torch.Tensor:
        """Angles of the first `positions` positions, (positions, 1, 1, head_dim)."""
        angles = torch.outer(torch.arange(positions, dtype=torch.float32), self._frequencies)
        return torch.cat([angles, angles], dim=-1)[:, None, None, :]
