"""From a Hugging Face folder into this rank's part of the model. Reads safetensors, sharded or not; unpickles nothing.

A head that the checkpoint has is kept. A new one is made only for a backbone without one, and only when asked for.
"""

from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Any

import torch

from coderm_slime.scoring.weights import BIAS, CheckpointError, is_reward_model, tensors_in
from rm_train.convert.names import HEAD, source_of
from rm_train.convert.tensors import part_of, shape_of
from rm_train.model import RewardModel

_NEW_HEAD_STD = 0.02  # as transformers draws it (`initializer_range`)
# Tensors of a checkpoint that a reward model does without: the language model's output, angles that are computed.
_UNUSED = ("lm_head.weight", "rotary_emb.inv_freq")


class Head(Enum):
    """Where the score head comes from."""

    KEPT = "kept"  # the checkpoint's own
    ZERO = "zero"  # new: all scores are 0 until it is fitted or trained
    NORMAL = "normal"  # new: drawn from a seed


def load(folder: Path, model: RewardModel, head: Head, *, seed: int = 0) -> None:
    """Fill `model`, on every rank, from the Hugging Face checkpoint in `folder`.

    Args:
        seed: of `Head.NORMAL`; every rank draws the same.

    Raises:
        CheckpointError: a tensor is missing, left over, or of another shape than the config says; or `head` is new
            though the checkpoint has one, or kept though it has none.
    """
    files = tensors_in(folder)
    _check_head(folder, files, head)
    parameters = {name: source_of(name) for name, _ in model.named_parameters()}
    wanted = {tensor for source in parameters.values() for tensor in source.tensors}
    _check_names(folder, set(files), wanted if head is Head.KEPT else wanted - {HEAD})
    with ExitStack() as stack, torch.no_grad():
        tensors = _Tensors(folder, files, stack)
        for name, parameter in model.named_parameters():
            if name == HEAD and head is not Head.KEPT:
                parameter.copy_(_new_head(head, seed, parameter.shape))
                continue
            source = parameters[name]
            whole = [tensors.get(tensor, shape_of(tensor, model.shape)) for tensor in source.tensors]
            parameter.copy_(part_of(source.kind, whole, model.shape, model.layout.tp, model.layout.tp_rank))
        _check_bias(folder, files, tensors)


class _Tensors:
    """Tensors of a folder by name; each file is opened once."""

    def __init__(self, folder: Path, files: dict[str, str], stack: ExitStack) -> None:
        self._folder, self._files, self._stack = folder, files, stack
        self._open: dict[str, Any] = {}

    def get(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        from safetensors import safe_open

        file = self._files[name]
        if file not in self._open:
            self._open[file] = self._stack.enter_context(safe_open(self._folder / file, framework="pt"))
        tensor: torch.Tensor = self._open[file].get_tensor(name)
        if tensor.shape != shape or not tensor.is_floating_point():
            raise CheckpointError(
                f"{self._folder}: {name} is {tuple(tensor.shape)} of {tensor.dtype}, but by config.json it should be "
                f"{shape} of floating-point numbers"
            )
        return tensor


def _check_head(folder: Path, files: dict[str, str], head: Head) -> None:
    has = is_reward_model(folder) or HEAD in files
    if has and head is not Head.KEPT:
        raise CheckpointError(
            f"{folder} has a trained head; a new one ({head.value}) would throw it away: ask to keep it"
        )
    if head is Head.KEPT and HEAD not in files:
        raise CheckpointError(f"{folder} has no {HEAD} to keep; ask for a new head, zero or normal")


def _check_names(folder: Path, found: set[str], wanted: set[str]) -> None:
    if missing := sorted(wanted - found):
        raise CheckpointError(f"{folder} lacks {len(missing)} tensors of its model, the first is {missing[0]}")
    left = sorted(name for name in found - wanted - {BIAS} if not name.endswith(_UNUSED))
    if left:
        raise CheckpointError(
            f"{folder} has {len(left)} tensors that its model has no place for, the first is {left[0]}"
        )


def _check_bias(folder: Path, files: dict[str, str], tensors: _Tensors) -> None:
    """`coderm prepare` adds a bias of zero for SGLang; another one would be lost here."""
    if BIAS in files and bool(tensors.get(BIAS, (1,)).any()):
        raise CheckpointError(f"{folder} has a {BIAS} that is not zero; the head here has none, so scores would shift")


def _new_head(head: Head, seed: int, shape: torch.Size) -> torch.Tensor:
    if head is Head.ZERO:
        return torch.zeros(shape)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * _NEW_HEAD_STD
