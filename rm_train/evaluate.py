"""A validation set scored by the model as it stands, all data-parallel ranks taking a part of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from coderm_slime.metrics import pair_accuracy
from rm_train import parallel
from rm_train.data.plan import micro_batches
from rm_train.data.store import Store
from rm_train.data.units import Unit
from rm_train.metrics import SetFigures, set_figures
from rm_train.model import RewardModel
from rm_train.packed import Packed

_SWAPPED_UNITS = 64  # read once more the other way round


@dataclass(frozen=True)
class Evaluated:
    """A set's figures and what they rest on.

    Attributes:
        keys: each unit's problem, see `records.problem_key`.
        scores: of each unit's sequences, in order.
        swap_error: |accuracy + accuracy with chosen and rejected exchanged - 1| on a sample whose sequences are packed
            in the other order; None without pairs. Above 0 a score depends on its place in the pack.
        swap_shift: the most that a score moves by that; rounding only, in the model's precision.
    """

    figures: SetFigures
    keys: list[str]
    scores: list[list[float]]
    swap_error: float | None
    swap_shift: float | None


def evaluate(model: RewardModel, store: Store, budget: int, rows: int | None = None) -> Evaluated:
    """Score a set; every rank calls this and gets the same.

    Args:
        budget: most tokens read at once.
        rows: only so many units, drawn by a fixed seed.
    """
    units = [store[int(index)] for index in _sample(len(store), rows)]
    scores = scores_of(model, units, budget)
    error, shift = _swap_test(model, units, scores, budget)
    return Evaluated(set_figures(units, scores), [unit.key for unit in units], scores, error, shift)


def scores_of(model: RewardModel, units: Sequence[Unit], budget: int) -> list[list[float]]:
    """Scores of every unit's sequences; every rank calls this with the same units and gets the same."""
    values = iter(_gathered(model.layout, units, budget, lambda packed: model(packed)[:, None], 1)[:, 0].tolist())
    return [[next(values) for _ in unit.sequences] for unit in units]


def features_of(model: RewardModel, units: Sequence[Unit], budget: int) -> torch.Tensor:
    """What the head reads of every sequence, units in order, (sequences, hidden); called as `scores_of` is."""
    return _gathered(model.layout, units, budget, model.features, model.shape.hidden)


def _gathered(
    layout: parallel.Layout, units: Sequence[Unit], budget: int, read: Callable[[Packed], torch.Tensor], width: int
) -> torch.Tensor:
    """Rows of `read`, one a sequence, read by the data-parallel ranks in turn and put back in order; on the CPU."""
    batches = micro_batches([unit.tokens for unit in units], budget, layout.dp)[layout.dp_rank :: layout.dp]
    starts = np.cumsum([0, *(len(unit.sequences) for unit in units)])
    places: list[int] = []
    rows = [torch.empty(0, width)]
    with torch.no_grad():
        for batch in filter(None, batches):
            places += [int(starts[index]) + n for index in batch for n in range(len(units[index].sequences))]
            rows.append(read(Packed.of([ids for index in batch for ids in units[index].sequences])).float().cpu())
    # In float64, which holds every place exactly.
    mine = torch.cat([torch.tensor(places, dtype=torch.float64)[:, None], torch.cat(rows).double()], dim=1)
    everything = parallel.gather_over_dp(mine)
    return everything[everything[:, 0].argsort(), 1:].float()


def _swap_test(
    model: RewardModel, units: Sequence[Unit], scores: Sequence[Sequence[float]], budget: int
) -> tuple[float | None, float | None]:
    sample = [index for index, unit in enumerate(units) if unit.pairs][:_SWAPPED_UNITS]
    if not sample:
        return None, None
    turned = [_turned(units[index]) for index in reversed(sample)]
    again = scores_of(model, turned, budget)[::-1]
    before = [scores[index] for index in sample]
    after = [of_unit[::-1] for of_unit in again]
    plain = _accuracy([units[index] for index in sample], before, swapped=False)
    swapped = _accuracy([units[index] for index in sample], after, swapped=True)
    shift = max(abs(a - b) for old, new in zip(before, after, strict=True) for a, b in zip(old, new, strict=True))
    return abs(plain + swapped - 1), shift


def _accuracy(units: Sequence[Unit], scores: Sequence[Sequence[float]], *, swapped: bool) -> float:
    chosen = [of[better] for unit, of in zip(units, scores, strict=True) for better, _ in unit.pairs]
    rejected = [of[worse] for unit, of in zip(units, scores, strict=True) for _, worse in unit.pairs]
    return pair_accuracy(rejected, chosen) if swapped else pair_accuracy(chosen, rejected)


def _turned(unit: Unit) -> Unit:
    """The unit's sequences in the other order."""
    return Unit(unit.key, list(unit.sequences)[::-1], list(unit.targets)[::-1], list(unit.target_weights)[::-1])


def _sample(size: int, rows: int | None) -> list[int]:
    if rows is None or rows >= size:
        return list(range(size))
    return sorted(np.random.default_rng(0).choice(size, rows, replace=False).tolist())
