"""How far a mean over pairs would move if other problems had been drawn.

Pairs of one problem share its difficulty and often a program, so they are not independent: the problem is what was
sampled, and the problem is what is resampled. An interval over single pairs would be several times too narrow.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from coderm_slime.metrics.arrays import Numbers, group_index, numbers, same_length
from coderm_slime.metrics.ranks import auc


class Interval(BaseModel):
    """A confidence interval, in the unit of what was measured; both ends belong to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float


def bootstrap_interval(
    values: Numbers, groups: Sequence[Hashable], *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval | None:
    """The percentile bootstrap interval of the mean of `values`, resampling groups with all their values.

    With `pair_outcomes(...)` as values this is an accuracy's interval; with the difference of two models' outcomes on
    the same pairs it tells whether one beats the other. Method: cluster bootstrap, Davison and Hinkley, "Bootstrap
    Methods and their Application" (1997), chapter 3. Takes about 16 * resamples * groups bytes.

    Args:
        values: shape [n], one a pair.
        groups: shape [n], the problem of each pair.

    Returns:
        None with fewer than two groups: one problem shows nothing of how problems differ. With few groups (below
        about 20) the interval is too narrow, and where all groups have the same mean it has no width.

    Raises:
        MetricError: no value, a NaN, or lengths that differ.
    """
    same_length(values=values, groups=groups)
    array, index = numbers("values", values), group_index(groups)
    counts, sums = np.bincount(index), np.bincount(index, weights=array)
    if len(counts) < 2:
        return None
    drawn = np.random.default_rng(seed).integers(len(counts), size=(resamples, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(low), high=float(high))


def auc_interval(
    right: Numbers,
    wrong: Numbers,
    right_groups: Sequence[Hashable],
    wrong_groups: Sequence[Hashable],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval | None:
    """The percentile bootstrap interval of `auc(right, wrong)`, resampling problems with all their programs.

    Draws in which one side is empty have no AUC and are left out.

    Args:
        right_groups, wrong_groups: the problem of each score.

    Returns:
        None with fewer than two groups, or where no draw had both sides.

    Raises:
        MetricError: no value on a side, a NaN, or lengths that differ.
    """
    same_length(right=right, right_groups=right_groups)
    same_length(wrong=wrong, wrong_groups=wrong_groups)
    high, low = numbers("right", right), numbers("wrong", wrong)
    index = group_index([*right_groups, *wrong_groups])
    groups = int(index.max()) + 1
    if groups < 2:
        return None
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        times = np.bincount(rng.integers(groups, size=groups), minlength=groups)[index]
        drawn = np.repeat(high, times[: len(high)]), np.repeat(low, times[len(high) :])
        if len(drawn[0]) and len(drawn[1]):
            found.append(auc(*drawn))
    if not found:
        return None
    ends = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=float(ends[0]), high=float(ends[1]))
