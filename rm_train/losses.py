"""What is minimised: mean squared error to labels (stage 1), Bradley and Terry's model on pairs (stage 2), or both.

Each is a sum over one micro-batch, divided by what the whole step has over all ranks. So gradients are added up over
micro-batches and ranks, never averaged, and ranks may hold unequal numbers. Source: paper, section 3.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.nn.functional import softplus

from rm_train.config import Loss
from rm_train.data.batch import MicroBatch


@dataclass(frozen=True)
class Totals:
    """The denominators of a step: the weights of all labels and of all pairs that it has, over all ranks."""

    targets: float
    pairs: float

    @classmethod
    def of(cls, target_weights: Iterable[float], pair_weights: Iterable[float]) -> "Totals":
        """Sums of the units' weights."""
        return cls(float(sum(target_weights)), float(sum(pair_weights)))


def loss_of(scores: torch.Tensor, batch: MicroBatch, loss: Loss, totals: Totals) -> torch.Tensor:
    """This micro-batch's part of the step's loss, a float32 scalar; all parts of a step add up to the loss.

    Args:
        scores: of the batch's sequences, (S,), float32.
    """
    if loss.kind == "mse":
        return squared_error(scores, batch) / totals.targets
    ranking = pair_loss(scores, batch, loss) / totals.pairs if totals.pairs else scores.sum() * 0
    if loss.kind == "bradley_terry" or not loss.mse_weight:
        return ranking
    return ranking + loss.mse_weight * squared_error(scores, batch) / totals.targets


def squared_error(scores: torch.Tensor, batch: MicroBatch) -> torch.Tensor:
    """Weighted sum of (r - label)^2."""
    return (batch.target_weights * (scores - batch.targets).square()).sum()


def pair_loss(scores: torch.Tensor, batch: MicroBatch, loss: Loss) -> torch.Tensor:
    """Weighted sum of -log sigmoid(r_chosen - r_rejected - margin) and of what `loss` adds to it.

    Label smoothing s takes a pair the other way round with weight s; centring adds (r_chosen + r_rejected)^2
    (Eisenstein et al. 2023, "Helping or Herding?").
    """
    better, worse = scores[batch.better], scores[batch.worse]
    difference = better - worse - loss.margin * batch.gaps
    each = (1 - loss.label_smoothing) * softplus(-difference) + loss.label_smoothing * softplus(difference)
    if loss.centring:
        each = each + loss.centring * (better + worse).square()
    return (batch.pair_weights * each).sum()
