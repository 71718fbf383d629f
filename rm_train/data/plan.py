"""Which units a step reads and which rank reads which of them: a function of seed, sizes and step number alone.

So every rank knows the whole plan without asking another, a run can be resumed in mid-epoch from its step number, and
what a step reads does not depend on the number of ranks.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


class Plan:
    """The steps of one stage: each epoch in another order, cut where a step has `batch` rows; the last may have fewer.

    Args:
        rows: how many rows each unit counts for, (units,).
    """

    def __init__(self, rows: Numbers, *, epochs: int, batch: int, seed: int) -> None:
        self._epochs = [self._cut(rows, batch, seed, epoch) for epoch in range(epochs)]
        self.total_steps = sum(map(len, self._epochs))

    def units(self, step: int) -> Numbers:
        """The units of a step, from 0."""
        for steps in self._epochs:
            if step < len(steps):
                return steps[step]
            step -= len(steps)
        raise IndexError(f"the plan has {self.total_steps} steps")

    @staticmethod
    def _cut(rows: Numbers, batch: int, seed: int, epoch: int) -> list[Numbers]:
        order = np.random.default_rng([seed, epoch]).permutation(len(rows))
        order = order[rows[order] > 0]
        before = np.cumsum(rows[order]) - rows[order]
        starts = np.flatnonzero(np.diff(before // batch, prepend=-1))
        return [np.asarray(part) for part in np.split(order, starts[1:])]


def micro_batches(tokens: Sequence[int], budget: int, ranks: int) -> list[list[int]]:
    """Positions in `tokens`, packed into micro-batches of at most `budget` tokens each, as many for every rank.

    The longest go first, each to the micro-batch that is the emptiest so far, so that ranks wait little for each
    other. Micro-batch i is for rank i % ranks. Some are empty where there are fewer units than ranks.

    Raises:
        ValueError: one alone exceeds the budget.
    """
    if tokens and max(tokens) > budget:
        raise ValueError(f"a unit of {max(tokens)} tokens exceeds the budget of {budget}")
    order = sorted(range(len(tokens)), key=lambda index: (-tokens[index], index))
    count = max(1, -(-sum(tokens) // (budget * ranks))) * ranks
    while (packed := _spread(order, tokens, budget, count)) is None:
        count += ranks
    return sorted(packed, key=lambda batch: -sum(tokens[index] for index in batch))


def _spread(order: Sequence[int], tokens: Sequence[int], budget: int, count: int) -> list[list[int]] | None:
    batches: list[list[int]] = [[] for _ in range(count)]
    loads = [0] * count
    for index in order:
        emptiest = loads.index(min(loads))
        if loads[emptiest] + tokens[index] > budget:
            return None
        batches[emptiest].append(index)
        loads[emptiest] += tokens[index]
    return batches


def rows_of(kind: str, sequences: Numbers, pairs: Numbers) -> Numbers:
    """How many of a step's rows each unit is, by the kind of loss: labels, pairs, or pairs and single labels."""
    if kind == "mse":
        return sequences
    return pairs if kind == "bradley_terry" else np.maximum(pairs, 1)
