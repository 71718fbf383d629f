"""Length must not tell the better side of a pair: of the longer and the shorter winners, as many stay as of the fewer.

Where one side goes on further than the other, or one is whole and the other a prefix, the longer one may win for
reasons that have nothing to do with being right, and a reward model would learn the length.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from coderm_slime.records import PairExample
from mcts.export.examples import FULL, PREFIX
from mcts.export.limits import margin


@dataclass(frozen=True)
class PairFacts:
    """What balance and card need of a pair.

    Attributes:
        side: of the split.
        group: `full`, both whole; `prefix`, both prefixes; `mixed`.
        longer: 1 where the better side is longer in characters, -1 where it is shorter, 0 where both are the same.
    """

    side: str
    group: str
    longer: int
    margin: float
    visits: int
    tree: str


def facts_of(pair: PairExample, side: str) -> PairFacts:
    kinds = pair.metadata["kind"].split("-")
    group = kinds[0] if kinds[0] == kinds[1] else "mixed"
    difference = len(pair.chosen) - len(pair.rejected)
    longer = (difference > 0) - (difference < 0)
    visits = min(pair.chosen_n, pair.rejected_n)
    return PairFacts(side, group, longer, margin(pair), visits, pair.metadata["tree"])


def balanced(pairs: Sequence[PairFacts], seed: int) -> set[int]:
    """Positions of the pairs that stay: as many longer winners as shorter ones on each side of the split, in each
    group; the draw depends on the seed alone."""
    strata: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for position, pair in enumerate(pairs):
        strata[pair.side, pair.group][pair.longer].append(position)
    kept: set[int] = set()
    for (side, group), by_length in sorted(strata.items()):
        draw = random.Random(f"{seed}/balance/{side}/{group}")
        fewer = min(len(by_length[1]), len(by_length[-1]))
        kept.update(by_length[0], draw.sample(by_length[1], fewer), draw.sample(by_length[-1], fewer))
    return kept


def longer_wins(pairs: Sequence[PairFacts]) -> dict[str, tuple[int, int]]:
    """For each group, the pairs whose longer side is the better one, and those with a longer side."""
    won = Counter(pair.group for pair in pairs if pair.longer > 0)
    all_ = Counter(pair.group for pair in pairs if pair.longer)
    return {group: (won[group], all_[group]) for group in (FULL, PREFIX, "mixed")}
