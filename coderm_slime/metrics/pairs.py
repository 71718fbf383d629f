"""Pair accuracy: how often the better of two programs for one problem has the higher score.

A pair without a score on either side is counted as abstained and judged neither way. Whoever compares two scorers
should give both the same pairs.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from coderm_slime.metrics.arrays import Array, MetricError, Numbers, group_index, numbers, same_length
from coderm_slime.metrics.bootstrap import Interval, bootstrap_interval


class PairReport(BaseModel):
    """What a set of scored pairs shows.

    Attributes:
        pairs: pairs with both scores; the other numbers, except `abstained`, speak of these.
        problems: different problems among them.
        accuracy: share won, a tie as half; None when no pair has both scores.
        interval: its 95 % bootstrap interval over problems; None with fewer than two problems.
        macro_accuracy: the mean over problems of each problem's accuracy, so that no problem counts more than another.
        ties: pairs with equal scores.
        abstained: pairs left out because a side has no score.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pairs: int
    problems: int
    accuracy: float | None
    interval: Interval | None
    macro_accuracy: float | None
    ties: int
    abstained: int


def pair_outcomes(chosen: Numbers, rejected: Numbers) -> Array:
    """Shape [n]: 1 where the chosen side scores higher, 0.5 on a tie, else 0.

    Raises:
        MetricError: no pair, a NaN, or lengths that differ.
    """
    same_length(chosen=chosen, rejected=rejected)
    better, worse = numbers("chosen", chosen), numbers("rejected", rejected)
    outcomes: Array = (better > worse) + 0.5 * (better == worse)
    return outcomes


def pair_accuracy(chosen: Numbers, rejected: Numbers) -> float:
    """The share of pairs won, a tie as half; 0.5 is what chance reaches. Raises as `pair_outcomes` does."""
    return float(pair_outcomes(chosen, rejected).mean())


def macro(values: Numbers, groups: Sequence[Hashable]) -> float:
    """The mean over groups of each group's mean of `values`. Raises MetricError as `bootstrap_interval` does."""
    same_length(values=values, groups=groups)
    array, index = numbers("values", values), group_index(groups)
    return float((np.bincount(index, weights=array) / np.bincount(index)).mean())


def pair_report(
    chosen_scores: Sequence[float | None], rejected_scores: Sequence[float | None], groups: Sequence[Hashable]
) -> PairReport:
    """Everything `PairReport` names, for pairs in matching order; a score of None abstains.

    Raises:
        MetricError: no pair at all, a NaN, or lengths that differ.
    """
    same_length(chosen_scores=chosen_scores, rejected_scores=rejected_scores, groups=groups)
    if not groups:
        raise MetricError("there is no pair to report on; is the file empty, or everything filtered out?")
    rows = zip(chosen_scores, rejected_scores, groups, strict=True)
    scored = [(better, worse, group) for better, worse, group in rows if better is not None and worse is not None]
    abstained = len(groups) - len(scored)
    if not scored:
        return PairReport(
            pairs=0, problems=0, accuracy=None, interval=None, macro_accuracy=None, ties=0, abstained=abstained
        )
    chosen, rejected, kept = ([row[0] for row in scored], [row[1] for row in scored], [row[2] for row in scored])
    outcomes = pair_outcomes(chosen, rejected)
    return PairReport(
        pairs=len(scored),
        problems=len(set(kept)),
        accuracy=float(outcomes.mean()),
        interval=bootstrap_interval(outcomes, kept),
        macro_accuracy=macro(outcomes, kept),
        ties=int((outcomes == 0.5).sum()),
        abstained=abstained,
    )
