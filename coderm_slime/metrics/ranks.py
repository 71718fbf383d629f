"""AUC and Spearman's correlation from ranks in which ties share their mean rank; numpy alone."""

import numpy as np

from coderm_slime.metrics.arrays import Array, MetricError, Numbers, numbers, same_length


def auc(right: Numbers, wrong: Numbers) -> float:
    """The chance that a right program's score is above a wrong one's, a tie as half, whatever their problems.

    Unlike pair accuracy, it also asks that scores of different problems lie on one scale. Computed as the
    Mann-Whitney U of `right` over the number of (right, wrong) combinations.

    Raises:
        MetricError: either side is empty or has a NaN.
    """
    high, low = numbers("right", right), numbers("wrong", wrong)
    rank_sum = _ranks(np.concatenate([high, low]))[: len(high)].sum()
    return float((rank_sum - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))


def spearman(first: Numbers, second: Numbers) -> float:
    """Spearman's rank correlation in [-1, 1]: Pearson's correlation of the ranks.

    Raises:
        MetricError: no value, a NaN, lengths that differ, or a side with one value only, which orders nothing.
    """
    same_length(first=first, second=second)
    x, y = _ranks(numbers("first", first)), _ranks(numbers("second", second))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise MetricError("all values of one side are equal, so no rank correlation exists")
    return float(np.corrcoef(x, y)[0, 1])


def _ranks(values: Array) -> Array:
    """Ranks from 1; equal values share the mean of the ranks that they take up."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    means: Array = np.cumsum(counts) - (counts - 1) / 2
    return means[position]
