"""The only module that knows whether a CPU or a GPU computes: everything else is the same code on both.

On a CPU: gloo, Megatron's local layers, and for attention one SDPA call a sequence, which is exact and does no work
across sequences. On a GPU: NCCL and TransformerEngine's layers, whose attention takes packed sequences. The GPU side
has not run yet: docs/gpu_checklist.md.
"""

import functools
import os
from typing import Any

import torch

from coderm_slime.errors import CodermError
from rm_train.local import LocalRotary, SdpaCoreAttention


class DeviceError(CodermError):
    """What this device needs is missing."""


def torch_device() -> torch.device:
    """Where tensors lie: this rank's GPU, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def backend() -> str:
    """How ranks talk to each other."""
    return "nccl" if torch.cuda.is_available() else "gloo"


def choose() -> None:
    """Take this rank's GPU, by its number on this machine; on a CPU, nothing."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def seed() -> None:
    """Start the generators that Megatron asks for on a GPU. Nothing here draws from them: there is no dropout."""
    if torch.cuda.is_available():
        from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed

        model_parallel_cuda_manual_seed(0)


def memory_bytes() -> int | None:
    """Memory of this rank's GPU; None on a CPU, whose memory is shared with everything else."""
    return torch.cuda.get_device_properties(torch_device()).total_memory if torch.cuda.is_available() else None


def config_options(tp: int, recompute: bool) -> dict[str, Any]:
    """What a `TransformerConfig` says about the device.

    Sequence parallelism goes with tensor parallelism on GPUs. megatron-core's local norms refuse it on a CPU.
    """
    if not torch.cuda.is_available():
        return {"use_cpu_initialization": True}
    options: dict[str, Any] = {"sequence_parallel": tp > 1}
    if recompute:
        options |= {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    return options


def layer_spec(qk_norm: bool) -> Any:
    """The parts that a transformer layer is made of.

    Raises:
        DeviceError: there is a GPU, but no TransformerEngine.
    """
    from megatron.core.models.gpt import gpt_layer_specs as specs

    if torch.cuda.is_available():
        if not specs.HAVE_TE:
            raise DeviceError(
                "a GPU is there, but TransformerEngine is not: train in slime's image, which has it, or hide the GPU "
                "with CUDA_VISIBLE_DEVICES= to train on the CPU"
            )
        return specs.get_gpt_layer_with_transformer_engine_spec(qk_layernorm=qk_norm)
    spec = specs.get_gpt_layer_local_spec(qk_layernorm=qk_norm, normalization="RMSNorm")
    spec.submodules.self_attention.submodules.core_attention = SdpaCoreAttention
    return spec


def finish(backbone: Any, recompute: bool) -> None:
    """Give a new `GPTModel` what its config cannot: on a CPU, rotary angles, and recomputation if asked."""
    if torch.cuda.is_available():
        return
    backbone.rotary_pos_emb = LocalRotary.like(backbone.rotary_pos_emb)
    if recompute:
        for layer in backbone.decoder.layers:
            layer.forward = functools.partial(torch.utils.checkpoint.checkpoint, layer.forward, use_reentrant=False)


def stand_in_for_cuda() -> None:
    """Give megatron-core's checkpoint writer the two names of `torch.cuda` that it uses even where there is no GPU."""
    if not torch.cuda.is_available():
        torch.cuda.current_device = lambda: torch.device("cpu")
        torch.cuda.synchronize = lambda device=None: None
