"""Sequence parallelism on a CPU, where megatron-core's own norms refuse it: FAKE norms and generators, real sharing.

The norms are torch's with the mark that TransformerEngine's carry; what is proved is this project's own part: packs
that ranks can share, what is gathered at the end, which gradients are partial.
"""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import torch

from rm_train import device


class MarkedNorm(torch.nn.RMSNorm):
    """FAKE of TransformerEngine's norm: computes the same, and marks its weight as one that saw only some tokens."""

    def __init__(self, config: Any, hidden_size: int, eps: float = 1e-5, **unused: Any) -> None:
        super().__init__(hidden_size, eps=eps)
        self.weight.sequence_parallel = config.sequence_parallel


def share_tokens() -> None:
    """From now on models built in this process share tokens among tensor-parallel ranks."""
    from megatron.core import tensor_parallel
    from megatron.core.transformer import transformer_block
    from megatron.core.transformer.identity_op import IdentityOp

    device.stand_in_for_cuda()
    options, local_spec = device.config_options, device.layer_spec

    def with_marked_norms(qk_norm: bool) -> Any:
        spec = local_spec(qk_norm)
        attention = spec.submodules.self_attention.submodules
        spec.submodules.input_layernorm = spec.submodules.pre_mlp_layernorm = MarkedNorm
        if attention.q_layernorm is not IdentityOp:
            attention.q_layernorm = attention.k_layernorm = MarkedNorm
        return spec

    device.config_options = lambda tp, recompute: {**options(tp, recompute), "sequence_parallel": tp > 1}
    device.layer_spec = with_marked_norms
    transformer_block.LayerNormImpl = MarkedNorm
    tensor_parallel.get_cuda_rng_tracker = lambda: SimpleNamespace(fork=nullcontext)
