"""Filters, caps and weights of one tree's rows. What goes is counted by reason."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from coderm_slime.records import PairExample, ScalarExample
from mcts.export.config import ExportConfig

R = TypeVar("R", ScalarExample, PairExample)


def kept_scalar(rows: Sequence[ScalarExample], config: ExportConfig, dropped: Counter[str]) -> list[ScalarExample]:
    """The scalar rows of one tree that stay, in their order, each with a weight in its metadata.

    A cap takes one row of each node before it takes a second one of any; the draw depends on seed and tree alone.
    """
    visited = [row for row in rows if row.n >= config.min_visits]
    dropped[f"fewer than {config.min_visits} visits"] += len(rows) - len(visited)
    fresh = list({row.response: row for row in reversed(visited)}.values())[::-1] if config.drop_repeats else visited
    dropped["the same text as an earlier row of the tree"] += len(visited) - len(fresh)
    nodes = [row.metadata["node"] for row in fresh]
    kept = _capped(nodes, config.max_scalar, f"{config.seed}/scalar/{_tree(fresh)}")
    dropped[f"more than {config.max_scalar} of a tree"] += len(fresh) - len(kept)
    return [_weighted(fresh[index], _sureness(fresh[index].n)) for index in kept]


def kept_pairs(rows: Sequence[PairExample], config: ExportConfig, dropped: Counter[str]) -> list[PairExample]:
    """The pairs of one tree that stay, in their order, each with a weight in its metadata."""
    visited = [row for row in rows if min(row.chosen_n, row.rejected_n) >= config.min_visits]
    dropped[f"a side with fewer than {config.min_visits} visits"] += len(rows) - len(visited)
    clear = [row for row in visited if margin(row) >= config.min_margin - 1e-9]
    dropped[f"labels less than {config.min_margin} apart"] += len(visited) - len(clear)
    kept = _capped(range(len(clear)), config.max_pairs, f"{config.seed}/pairs/{_tree(clear)}")
    dropped[f"more than {config.max_pairs} of a tree"] += len(clear) - len(kept)
    return [_weighted(clear[index], _pair_weight(clear[index])) for index in kept]


def margin(pair: PairExample) -> float:
    """By how much the labels differ."""
    return (pair.chosen_label or 0.0) - (pair.rejected_label or 0.0)


def _capped(groups: Sequence[int], cap: int | None, seed: str) -> list[int]:
    """Up to `cap` positions of `groups`, in order, drawn so that no group has two before each has one."""
    if cap is None or len(groups) <= cap:
        return list(range(len(groups)))
    order = random.Random(seed).sample(range(len(groups)), len(groups))
    taken: Counter[int] = Counter()
    turns: list[tuple[int, int, int]] = []
    for position in order:
        turns.append((taken[groups[position]], len(turns), position))
        taken[groups[position]] += 1
    return sorted(position for _, _, position in sorted(turns)[:cap])


def _sureness(visits: int) -> float:
    """n / (n + 1): how far a mean of n evaluations is trusted beside a guess that weighs one."""
    return visits / (visits + 1)


def _pair_weight(pair: PairExample) -> float:
    return margin(pair) * _sureness(pair.chosen_n) * _sureness(pair.rejected_n)


def _weighted(row: R, weight: float) -> R:
    return row.model_copy(update={"metadata": {**row.metadata, "weight": round(weight, 6)}})


def _tree(rows: Sequence[ScalarExample] | Sequence[PairExample]) -> str:
    return str(rows[0].metadata["tree"]) if rows else ""
