"""Checkpoints to resume from: Megatron's distributed format, loadable by another number of ranks.

A checkpoint is written under a temporary name, renamed when it is whole, and only then pointed to, so a run that is
killed while it saves leaves the last good one. What the training loop remembers is JSON beside the tensors. A run's
product is not this but what `convert.export` writes. Megatron's format unpickles its index and the step count: resume
from checkpoints of your own runs only.
"""

import dataclasses
import json
import os
import queue
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

import coderm_slime
from coderm_slime.errors import CodermError
from rm_train import device
from rm_train.model import RewardModel
from rm_train.optimizer import Optimizer

POINTER = "latest"
_FACTS = "facts.json"
_NAME = re.compile(r"step-\d{8}")
_STEPS = "optimizer_steps"  # in Megatron's common state: one number, whatever the ranks


class ResumeError(CodermError):
    """A checkpoint cannot be resumed from. The text says why."""


@dataclass(frozen=True)
class Saved:
    """What stands beside the tensors.

    Attributes:
        step: optimizer steps of the whole run.
        state: what the training loop remembers (stage, place in the data).
        meta: what the run was: the caller's settings and data fingerprint; `version`, `revision` of this package;
            `shape` and `dtype` of the model.
    """

    step: int
    state: dict[str, Any]
    meta: dict[str, Any]


def save(
    root: Path,
    step: int,
    model: RewardModel,
    optimizer: Optimizer,
    *,
    state: Mapping[str, Any],
    meta: Mapping[str, Any],
    keep: int = 2,
) -> Path:
    """Write a checkpoint into the folder `root`; every rank calls this. A step that is saved already is left as it is.

    Args:
        state: JSON values, what `load` gives back.
        meta: JSON values, what the run was.
        keep: how many of the latest checkpoints stay.

    Raises:
        ValueError: `keep` is less than 1.
    """
    if keep < 1:
        raise ValueError(f"keep={keep}: the checkpoint just written would be removed")
    from megatron.core import dist_checkpointing

    device.stand_in_for_cuda()
    _no_process_for_results()
    folder = root / f"step-{step:08d}"
    if latest(root) == folder:
        return folder
    draft = root / f".{folder.name}.partial"
    first = dist.get_rank() == 0
    if first:
        for left in [*root.glob(".step-*.partial"), folder]:  # of a run that was killed while it saved
            shutil.rmtree(left, ignore_errors=True)
        draft.mkdir(parents=True)
    dist.barrier()
    dist_checkpointing.save({**_sharded(model, optimizer), _STEPS: optimizer.steps}, str(draft))
    if first:
        facts = Saved(step, dict(state), {**meta, **_about(model)})
        (draft / _FACTS).write_text(json.dumps(dataclasses.asdict(facts), indent=1) + "\n", encoding="utf-8")
        _publish(draft, folder)
        _remove_old(root, keep)
    dist.barrier()
    return folder


def latest(root: Path) -> Path | None:
    """The last checkpoint in `root` that was written whole; None where there is none yet.

    Raises:
        ResumeError: the pointer names a checkpoint that is not there.
    """
    try:
        name = (root / POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    if not _NAME.fullmatch(name) or not (root / name / _FACTS).is_file():
        raise ResumeError(
            f"{root / POINTER} names {name!r}, which is no checkpoint there; name a good one in that file"
        )
    return root / name


def read(folder: Path) -> Saved:
    """What stands beside the tensors of the checkpoint `folder`, which are not read.

    Raises:
        ResumeError: it cannot be read.
    """
    try:
        return Saved(**json.loads((folder / _FACTS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ResumeError(f"{folder} is no checkpoint that can be read: {error}") from error


def load(folder: Path, model: RewardModel, optimizer: Optimizer) -> Saved:
    """Bring model and optimizer to where the checkpoint `folder` was taken; every rank calls this.

    Raises:
        ResumeError: it is damaged, or of another model.
    """
    from megatron.core import dist_checkpointing
    from megatron.core.dist_checkpointing.core import CheckpointingException
    from torch.distributed.checkpoint.api import CheckpointException  # what a rank of torch's reader met; no Exception

    saved = read(folder)
    _check_same_model(folder, saved, model)
    device.stand_in_for_cuda()
    try:
        loaded = dist_checkpointing.load(_sharded(model, optimizer), str(folder))
    except (CheckpointingException, CheckpointException, OSError, RuntimeError, ValueError, LookupError) as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise ResumeError(
            f"{folder} is damaged ({reason or type(error).__name__}); resume from another one"
        ) from error
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(loaded["model"][name])
    optimizer.restore(loaded["optimizer"], loaded[_STEPS])
    return saved


def _no_process_for_results() -> None:
    """Have Megatron's writer hand its results over within this process, as it can where a save is waited for.

    By itself it starts a server process for them, which imports the main module again (seconds), and which outlives a
    rank that is killed. Where Megatron no longer has this name, it does as it likes.
    """
    from megatron.core.dist_checkpointing.strategies import filesystem_async

    if hasattr(filesystem_async, "_results_queue"):
        filesystem_async._results_queue = queue.SimpleQueue()


def _sharded(model: RewardModel, optimizer: Optimizer) -> dict[str, Any]:
    """Weights and optimizer state with which part of the whole each is, by the parameter's name."""
    from megatron.core.dist_checkpointing.optimizer import make_sharded_optimizer_tensor

    weights = model.sharded_state_dict()
    # A parameter's state is on one data-parallel rank only, so that one is its first replica, not the rank 0 of all.
    own = {name: dataclasses.replace(weights[name], replica_id=(*weights[name].replica_id[:2], 0)) for name in weights}
    state = {
        name: {key: make_sharded_optimizer_tensor(own[name], tensor, f"optimizer.{key}") for key, tensor in of.items()}
        for name, of in optimizer.state().items()
    }
    return {"model": weights, "optimizer": state}


def _about(model: RewardModel) -> dict[str, Any]:
    return {
        "shape": dataclasses.asdict(model.shape),
        "dtype": str(model.score.weight.dtype).removeprefix("torch."),
        "version": coderm_slime.__version__,
        "revision": _revision(),
    }


def _revision() -> str | None:
    """The commit of the checkout that runs; None where the package is installed."""
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no git here: the version still says something
        return None
    return done.stdout.strip() or None


def _check_same_model(folder: Path, saved: Saved, model: RewardModel) -> None:
    ours = {key: value for key, value in _about(model).items() if key in ("shape", "dtype")}
    theirs = {key: saved.meta.get(key) for key in ours}
    if ours != theirs:
        raise ResumeError(f"{folder} is of another model: {theirs}, but this run's is {ours}")


def _publish(draft: Path, folder: Path) -> None:
    """Give the whole checkpoint its name, then point to it; after a power cut both are there or neither is."""
    _sync(draft / _FACTS)
    draft.rename(folder)
    _sync(folder.parent)
    pointer = folder.parent / f".{POINTER}"
    pointer.write_text(folder.name + "\n", encoding="utf-8")
    _sync(pointer)
    pointer.replace(folder.parent / POINTER)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_old(root: Path, keep: int) -> None:
    found = sorted(path for path in root.iterdir() if _NAME.fullmatch(path.name))
    for path in found[:-keep]:
        shutil.rmtree(path)
