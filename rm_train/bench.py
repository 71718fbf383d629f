"""`coderm bench train-rm`: tokens a second of training by packing on Megatron, beside Hugging Face with padding.

Three ways to read the same sequences, of the same weights, forward and backward over pairs (Bradley and Terry's loss),
without the optimizer's step, which is the same for all: packed by token budget on megatron-core; each batch padded to
2,048 tokens, as the published scripts do it; batches of neighbours by length, each padded to its longest. Counted are
real tokens, padding never. Rounds are interleaved, so a machine that slows down slows all three.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import softplus

from coderm_slime.errors import CodermError
from rm_train import convert, device, parallel
from rm_train.config import Loss, Source
from rm_train.data.batch import MicroBatch
from rm_train.data.plan import micro_batches
from rm_train.data.rows import Skipped, read_rows
from rm_train.data.units import Unit, render_units
from rm_train.losses import Totals, loss_of
from rm_train.model import RewardModel, build
from rm_train.packed import Packed
from rm_train.shape import BackboneShape

_PADDED_TO = 2048  # as the paper's scripts pad every sequence
_SEED = 0


@dataclass(frozen=True)
class Workload:
    """What is read.

    Attributes:
        pairs: drawn from the file, so that their lengths are those of real data.
        padded_pairs: those of them that the padded way reads, which takes long; its speed is by real tokens, too.
        micro_batch_tokens: of the packed and the sorted way.
    """

    pairs: int = 8
    padded_pairs: int = 1
    micro_batch_tokens: int = 2048


@dataclass(frozen=True)
class Speed:
    """Medians over rounds, in real tokens a second."""

    packed: float
    padded: float
    sorted: float

    @property
    def figures(self) -> dict[str, float]:
        """By the names of the command's JSON."""
        return {
            "packed_tokens_per_s": self.packed,
            "packed_over_padded": self.packed / self.padded,
            "packed_over_best_hf": self.packed / max(self.sorted, self.padded),
            "hf_padded_tokens_per_s": self.padded,
            "hf_sorted_tokens_per_s": self.sorted,
        }


def bench(model: Path, pairs: Path, workload: Workload, dtype: str, rounds: int, seen: Callable[[], None]) -> Speed:
    """Measure; one rank.

    Args:
        model: a language model's or a reward model's folder.
        seen: called after each of 3 * (rounds + 1) measurements; the first round only warms up.

    Raises:
        CodermError: the model or the pairs cannot be used.
    """
    from coderm_slime.chat import Renderer

    skipped = Skipped()
    rows = read_rows([Source(path=pairs)], skipped)
    renderer = Renderer.load(str(model))
    units = list(render_units(rows, renderer, skipped, share=False, by_visits=False, budget=0))
    units = [unit for unit in units if unit.pairs]
    if len(units) < workload.pairs:
        raise CodermError(f"{pairs} has {len(units)} pairs that fit {model}, {workload.pairs} are measured")
    drawn = np.random.default_rng(_SEED).choice(len(units), workload.pairs, replace=False)
    sample = [units[int(index)] for index in drawn]
    layout = parallel.start(1)
    megatron = build(BackboneShape.of(model), layout, getattr(torch, dtype))
    convert.load(model, megatron, _head(model), seed=_SEED)
    ways = _ways(megatron, _hugging_face(megatron, model), sample, workload)
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (tokens, step) in ways.items():
            began = time.perf_counter()
            step()
            if number:
                speeds[name].append(tokens / (time.perf_counter() - began))
            seen()
    parallel.stop()
    return Speed(**{name: statistics.median(of) for name, of in speeds.items()})


def _ways(
    megatron: RewardModel, other: Any, sample: Sequence[Unit], workload: Workload
) -> dict[str, tuple[int, Callable[[], None]]]:
    """Each way's real tokens and its work."""
    budget, few = workload.micro_batch_tokens, sample[: workload.padded_pairs]
    packs = [[sample[index] for index in batch] for batch in micro_batches([u.tokens for u in sample], budget, 1)]
    by_length = sorted(sample, key=lambda unit: max(map(len, unit.sequences)))
    groups = _padded_groups(by_length, budget)
    return {
        "packed": (sum(unit.tokens for unit in sample), lambda: _packed(megatron, packs, len(sample))),
        "padded": (
            sum(unit.tokens for unit in few),
            lambda: _padded(other, [[unit] for unit in few], len(few), _PADDED_TO),
        ),
        "sorted": (sum(unit.tokens for unit in sample), lambda: _padded(other, groups, len(sample), None)),
    }


def _packed(model: RewardModel, packs: Sequence[Sequence[Unit]], pairs: int) -> None:
    model.zero_grad()
    for units in packs:
        batch = MicroBatch.of(units).to(device.torch_device())
        loss = loss_of(model(batch.packed), batch, Loss(kind="bradley_terry"), Totals(0.0, float(pairs)))
        loss.backward()
    parallel.reduce_gradients(model)
    _wait()


def _padded(model: Any, groups: Sequence[Sequence[Unit]], pairs: int, width: int | None) -> None:
    model.zero_grad()
    for units in groups:
        sequences = [unit.sequences[side] for side in (0, 1) for unit in units]
        longest = width or max(map(len, sequences))
        ids = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in sequences], device=device.torch_device())
        lengths = torch.tensor([len(ids) for ids in sequences], device=ids.device)
        mask = (torch.arange(longest, device=ids.device)[None] < lengths[:, None]).long()
        hidden = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        scores = model.score(hidden[torch.arange(len(ids), device=ids.device), lengths - 1]).float().squeeze(-1)
        (softplus(scores[len(units) :] - scores[: len(units)]).sum() / pairs).backward()
    _wait()


def _padded_groups(units: Sequence[Unit], budget: int) -> list[list[Unit]]:
    """Neighbours by length, at most `budget` padded tokens together."""
    groups: list[list[Unit]] = []
    for unit in units:
        padded = 2 * (len(groups[-1]) + 1) * max(map(len, unit.sequences)) if groups else 0
        if groups and padded <= budget:
            groups[-1].append(unit)
        else:
            groups.append([unit])
    return groups


def _head(model: Path) -> convert.Head:
    from coderm_slime.scoring.weights import is_reward_model

    return convert.Head.KEPT if is_reward_model(model) else convert.Head.NORMAL


def _hugging_face(megatron: RewardModel, source: Path) -> Any:
    """The same weights as Hugging Face's model, which must score as the packed one does."""
    from transformers import AutoModelForSequenceClassification

    from rm_train.convert.export import write

    dtype = megatron.score.weight.dtype
    with tempfile.TemporaryDirectory() as scratch:
        write(megatron, source, Path(scratch) / "model")
        model = AutoModelForSequenceClassification.from_pretrained(Path(scratch) / "model", dtype=dtype)
    model = model.to(device.torch_device()).train()
    ids = list(range(5, 25))
    with torch.no_grad():
        ours = float(megatron(Packed.of([ids])))
        theirs = float(model(torch.tensor([ids], device=device.torch_device())).logits.float())
    if abs(ours - theirs) > 0.05 * max(1.0, abs(theirs)):
        raise CodermError(f"both models should be the same, but score {ours} and {theirs}: nothing to compare")
    return model


def _wait() -> None:
    if device.has_gpu():
        torch.cuda.synchronize()
