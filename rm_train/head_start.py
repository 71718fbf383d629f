"""A new score head fitted in closed form on what the frozen backbone makes of training rows.

Stage 1 would else start from a random direction at a learning rate of 1e-6, under which a head hardly moves. For pairs
this is Bradley and Terry's model as in `head`; for labels it is a ridge regression. Not in the paper.
"""

import logging
from collections.abc import Sequence

import numpy as np
import torch

from coderm_slime.errors import CodermError
from rm_train.config import Loss
from rm_train.data.store import Store
from rm_train.data.units import Unit
from rm_train.evaluate import features_of
from rm_train.head import fit_on_features, folds_of, without
from rm_train.model import RewardModel

logger = logging.getLogger(__name__)

# Of standardised features, per label. A wide range: the fit on problems left out chooses.
_RIDGES = tuple(10.0**power for power in range(-3, 4))


def fit_head(model: RewardModel, store: Store, loss: Loss, *, rows: int, seed: int, budget: int) -> str:
    """Give `model` a head fitted to at most `rows` units of `store`; every rank calls this and gets the same.

    Returns:
        One line about the fit.

    Raises:
        CodermError: fewer than two problems among the rows.
    """
    order = np.random.default_rng(seed).permutation(len(store))[:rows]
    units = [store[int(index)] for index in order]
    features = features_of(model, units, budget)
    if loss.kind == "mse":
        weight, note = _to_labels(units, features)
    else:
        weight, note = _to_pairs(units, features)
    with torch.no_grad():
        model.score.weight.copy_(weight[None].to(model.score.weight))
    return note


def ridge_on_features(
    features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, groups: Sequence[str]
) -> tuple[torch.Tensor, float, float]:
    """A head w so that w x is near each label: (w, the ridge chosen, mean squared error on problems left out).

    The head has no bias. So it is the mean label along the features' mean, plus a ridge regression at right angles to
    it of what differs from both means; the ridge is the one that does best on problems that the fit has not seen.

    Args:
        features: (sequences, hidden).
        labels: (sequences,).
        weights: how often each label counts, (sequences,).
        groups: each sequence's problem.

    Raises:
        CodermError: fewer than two problems.
    """
    x, y, share = features.double(), labels.double(), weights.double() / weights.double().sum()
    mean, middle = share @ x, share @ y
    along = mean / mean.norm().clamp(min=1e-6)
    centred = without(x - mean, along)
    scale = (share @ centred.square()).sqrt().clamp(min=1e-6)
    scaled, rest, folds = centred / scale, y - middle, folds_of(groups)
    errors = dict.fromkeys(_RIDGES, 0.0)
    for fold in folds.unique():
        inside, outside = folds != fold, folds == fold
        for ridge, weight in _solutions(scaled[inside], rest[inside], share[inside]).items():
            errors[ridge] += float(share[outside] @ (rest[outside] - scaled[outside] @ weight).square())
    ridge = min(_RIDGES, key=lambda ridge: errors[ridge])
    fitted = _solutions(scaled, rest, share)[ridge] / scale
    weight = without(fitted, along) + along * middle / mean.norm().clamp(min=1e-6)
    return weight.float(), ridge, errors[ridge]


def _solutions(x: torch.Tensor, y: torch.Tensor, share: torch.Tensor) -> dict[float, torch.Tensor]:
    """The ridge regressions of `y` on `x`, one a strength, from one decomposition; `share` weighs the rows."""
    weighted = x * (share / share.sum())[:, None]
    values, vectors = torch.linalg.eigh(x.T @ weighted)
    right = vectors.T @ (weighted.T @ y)
    return {ridge: vectors @ (right / (values.clamp(min=0) + ridge)) for ridge in _RIDGES}


def _to_labels(units: Sequence[Unit], features: torch.Tensor) -> tuple[torch.Tensor, str]:
    labels = torch.tensor([target for unit in units for target in unit.targets])
    weights = torch.tensor([weight for unit in units for weight in unit.target_weights])
    groups = [unit.key for unit in units for _ in unit.targets]
    weight, ridge, error = ridge_on_features(features, labels, weights, groups)
    share = weights / weights.sum()
    spread = float(share @ (labels - share @ labels).square())
    return weight, (
        f"head fitted on {len(labels)} sequences, ridge {ridge:g}: mean squared error {error:.4f} on problems left "
        f"out, {spread:.4f} by the mean label alone"
    )


def _to_pairs(units: Sequence[Unit], features: torch.Tensor) -> tuple[torch.Tensor, str]:
    starts = np.cumsum([0, *(len(unit.sequences) for unit in units)])
    better = [int(start) + first for unit, start in zip(units, starts, strict=False) for first, _ in unit.pairs]
    worse = [int(start) + second for unit, start in zip(units, starts, strict=False) for _, second in unit.pairs]
    if not better:
        raise CodermError("head.start=ridge for a loss on pairs, but none of the rows that were drawn has a pair")
    fit = fit_on_features(features[better], features[worse], [unit.key for unit in units for _ in unit.pairs])
    return fit.weight, (
        f"head fitted on {fit.pairs} pairs of {fit.problems} problems, ridge {fit.ridge}: accuracy "
        f"{fit.held_out_accuracy:.3f} on problems left out"
    )
