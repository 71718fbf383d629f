"""The only module that knows whether a CPU or a GPU computes: everything else is the same code on both.

On a CPU: gloo, Megatron's local layers, and for attention one SDPA call a sequence, which is exact and does no work
across sequences. On a GPU: NCCL and TransformerEngine's layers, whose attention takes packed sequences. The GPU side
has not run yet: docs/gpu_checklist.md.
"""

import functools
import os
import warnings
from pathlib import Path
from typing import Any

import torch

from coderm_slime.errors import CodermError
from rm_train.local import LocalRotary, SdpaCoreAttention


class DeviceError(CodermError):
    """What this device needs is missing."""


def has_gpu() -> bool:
    """Whether a GPU computes; `CUDA_VISIBLE_DEVICES=` hides it."""
    return bool(torch.cuda.is_available())


def torch_device() -> torch.device:
    """Where tensors lie: this rank's GPU, or the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if has_gpu() else torch.device("cpu")


def backend() -> str:
    """How ranks talk to each other."""
    return "nccl" if has_gpu() else "gloo"


def choose() -> None:
    """Take this rank's GPU, by its number on this machine; on a CPU, nothing."""
    if has_gpu():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    else:  # Megatron says of a dozen modules that Apex or TransformerEngine is not there; here that is meant so
        warnings.filterwarnings("ignore", module=r"megatron\.")


def seed() -> None:
    """Start the generators that Megatron asks for on a GPU. Nothing here draws from them: there is no dropout."""
    if has_gpu():
        from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed

        model_parallel_cuda_manual_seed(0)


def memory_bytes() -> int:
    """Memory of this rank's GPU; on a CPU its share of the machine's, or of what a container may use."""
    if has_gpu():
        return int(torch.cuda.get_device_properties(torch_device()).total_memory)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        container = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no such limit: "max", or another kind of control group
        container = machine
    return min(machine, container) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def sequence_parallel(tp: int) -> bool:
    """Whether ranks share the tokens between attention and MLP: on GPUs. Megatron's local norms refuse it."""
    return has_gpu() and tp > 1


def config_options(tp: int, recompute: bool) -> dict[str, Any]:
    """What a `TransformerConfig` says about the device."""
    if not has_gpu():
        return {"use_cpu_initialization": True}
    options: dict[str, Any] = {"sequence_parallel": sequence_parallel(tp), "bias_activation_fusion": True}
    if recompute:
        options |= {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    return options


def layer_spec(qk_norm: bool) -> Any:
    """The parts that a transformer layer is made of.

    Raises:
        DeviceError: there is a GPU, but no TransformerEngine.
    """
    from megatron.core.models.gpt import gpt_layer_specs as specs

    if has_gpu():
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
    if has_gpu():
        return
    backbone.rotary_pos_emb = LocalRotary.like(backbone.rotary_pos_emb)
    if recompute:
        for layer in backbone.decoder.layers:
            layer.forward = functools.partial(torch.utils.checkpoint.checkpoint, layer.forward, use_reentrant=False)


def stand_in_for_cuda() -> None:
    """Give megatron-core's checkpoint writer the two names of `torch.cuda` that it uses even where there is no GPU."""
    if not has_gpu():
        torch.cuda.current_device = lambda: torch.device("cpu")
        torch.cuda.synchronize = lambda device=None: None
