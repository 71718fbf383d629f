"""Which problems are held out, drawn once for all files. Statements that say nearly the same stay on one side."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from coderm_slime.problems import near_copies
from mcts.export.config import ExportConfig


@dataclass(frozen=True)
class Split:
    """The sides of the problems.

    Attributes:
        held_out: keys (`records.problem_key`) of the validation problems.
        near: every two problems whose statements overlap, by key.
    """

    held_out: frozenset[str]
    near: tuple[tuple[str, str], ...]

    def side(self, key: str) -> str:
        """`train` or `validation`."""
        return "validation" if key in self.held_out else "train"


def split(statements: Mapping[str, str], config: ExportConfig) -> Split:
    """Split problems, given by key with their statements.

    Whether a problem is held out depends on the seed and on its own text (and its near copies') alone, so that a
    problem does not change sides as others come. Where that would leave a side empty, one group of problems moves.
    """
    keys = sorted(statements)
    pairs = near_copies([statements[key] for key in keys], config.near_copy)
    near = tuple((keys[one], keys[other]) for one, other in pairs)
    names = _first_of_group(keys, near)
    draws = {name: _draw(f"{config.seed}/{name}") for name in set(names.values())}
    held = {name for name, draw in draws.items() if draw < config.validation}
    if config.validation and len(draws) > 1 and len(held) in (0, len(draws)):
        last = max if held else min
        held ^= {last(draws, key=draws.__getitem__)}
    return Split(frozenset(key for key in keys if names[key] in held), near)


def _first_of_group(keys: list[str], near: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """For each key the first one, in order, of all that are linked to it."""
    above = {key: key for key in keys}

    def first(key: str) -> str:
        while above[key] != key:
            above[key] = key = above[above[key]]
        return key

    for one, other in near:
        low, high = sorted((first(one), first(other)))
        above[high] = low
    return {key: first(key) for key in keys}


def _draw(text: str) -> float:
    """A number in [0, 1) that `text` alone determines."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
