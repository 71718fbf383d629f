"""Which texts say nearly the same, by the word n-grams that they share. Knows nothing of what the texts are for."""

import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

WORDS = 8  # shorter runs are shared by texts that have nothing else in common
_WORD = re.compile(r"\w+|[^\w\s]")
# A phrase that very many texts share would make all of them candidates for each other. Each is then compared with the
# next few that have the phrase: near copies stand in many such rows, so that they still meet.
_MANY, _NEXT = 100, 8


def ngrams(text: str, n: int = WORDS) -> frozenset[int]:
    """The runs of `n` words and marks in `text`, in lower case, as 64-bit hashes; a shorter text is one run."""
    words = _WORD.findall(text.lower())
    return frozenset(_hash(words[start : start + n]) for start in range(max(1, len(words) - n + 1)))


def overlap(one: frozenset[int], other: frozenset[int]) -> float:
    """The share of the smaller set that is in both, in [0, 1]."""
    return len(one & other) / max(1, min(len(one), len(other)))


def near_copies(texts: Sequence[str], threshold: float) -> list[tuple[int, int]]:
    """Positions of every two texts whose n-grams overlap by `threshold` or more, in order.

    Every two that share a phrase are compared. Where over a hundred texts share it, and the two share no rarer one,
    they are compared only if they stand near each other among these.
    """
    grams = [ngrams(text) for text in texts]
    having: dict[int, list[int]] = defaultdict(list)
    for position, found in enumerate(grams):
        for gram in found:
            having[gram].append(position)
    pairs = {pair for positions in having.values() for pair in _candidates(positions)}
    return sorted(pair for pair in pairs if overlap(grams[pair[0]], grams[pair[1]]) >= threshold)


def _candidates(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    if len(positions) <= _MANY:
        yield from itertools.combinations(positions, 2)
        return
    for index, position in enumerate(positions):
        for other in positions[index + 1 : index + 1 + _NEXT]:
            yield position, other


def _hash(words: Sequence[str]) -> int:
    return int.from_bytes(hashlib.blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=8).digest(), "big")
