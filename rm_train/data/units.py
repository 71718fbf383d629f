"""Rows as the model reads them: token ids with their labels, and which sequence should beat which."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from coderm_slime.chat import Renderer, as_response
from coderm_slime.pycode import blocks, parses
from coderm_slime.records import PairExample
from rm_train.data.rows import Row, Skipped

MAX_SHARED = 16  # sequences of one problem in a unit: a step's batch should not be a single problem


@dataclass(frozen=True)
class Unit:
    """What is never split over micro-batches or ranks: a scalar row, a pair, or the rows of one problem.

    Attributes:
        key: the problem's, see `records.problem_key`.
        sequences: token ids of each program.
        targets: each sequence's label in [0, 1].
        target_weights: how often each label counts.
        pairs: (better, worse), as positions in `sequences`.
        pair_weights: how often each pair counts.
        gaps: by how much the labels of each pair differ; 1 where they are not known.
    """

    key: str
    sequences: Sequence[Sequence[int]]
    targets: Sequence[float]
    target_weights: Sequence[float]
    pairs: Sequence[tuple[int, int]] = ()
    pair_weights: Sequence[float] = ()
    gaps: Sequence[float] = ()

    @property
    def tokens(self) -> int:
        """Of all its sequences."""
        return sum(map(len, self.sequences))


def render_units(
    rows: Iterable[tuple[str, Row]], renderer: Renderer, skipped: Skipped, *, share: bool, by_visits: bool, budget: int
) -> Iterator[Unit]:
    """The rows as units; those that do not fit the model's input even when shortened are counted in `skipped`.

    Args:
        share: neighbouring rows of one problem become one unit, up to `budget` tokens.
        by_visits: rows count by their evaluations.
    """
    draft = _Draft("")
    for place, row in rows:
        rendered = _rendered(row, renderer)
        if isinstance(rendered, str):
            skipped.add(rendered, f"{place}: {rendered}")
            continue
        sides, shortened = rendered
        skipped.shortened += shortened
        if isinstance(row, PairExample) and sides[0].ids == sides[1].ids:
            skipped.add("a pair that reads alike", f"{place}: both sides become the same input once rendered")
            continue
        if not (share and draft.takes(row.key, sides, budget)):
            if draft.sequences:
                yield draft.unit()
            draft = _Draft(row.key)
        draft.add(sides, row, by_visits)
    if draft.sequences:
        yield draft.unit()


@dataclass(frozen=True)
class _Side:
    ids: tuple[int, ...]
    label: float
    visits: int


@dataclass
class _Draft:
    """A unit that still grows."""

    key: str
    sequences: dict[tuple[int, ...], int] = field(default_factory=dict)
    targets: list[float] = field(default_factory=list)
    target_weights: list[float] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    pair_weights: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    def takes(self, key: str, sides: Sequence[_Side], budget: int) -> bool:
        new = [side.ids for side in sides if side.ids not in self.sequences]
        tokens = sum(map(len, self.sequences)) + sum(map(len, new))
        return key == self.key and tokens <= budget and len(self.sequences) + len(new) <= MAX_SHARED

    def add(self, sides: Sequence[_Side], row: Row, by_visits: bool) -> None:
        places = [self._place(side, side.visits if by_visits else 1) for side in sides]
        if isinstance(row, PairExample):
            better, worse = sides
            known = row.chosen_label is not None and row.rejected_label is not None
            self.pairs.append((places[0], places[1]))
            mean_visits = 2 / (1 / better.visits + 1 / worse.visits)
            self.pair_weights.append(mean_visits if by_visits else 1.0)
            self.gaps.append(better.label - worse.label if known else 1.0)

    def unit(self) -> Unit:
        sequences = list(self.sequences)
        return Unit(self.key, sequences, self.targets, self.target_weights, self.pairs, self.pair_weights, self.gaps)

    def _place(self, side: _Side, weight: float) -> int:
        """Position of the sequence; where it is there already, its label becomes the weighted mean (same gradient)."""
        place = self.sequences.setdefault(side.ids, len(self.sequences))
        if place == len(self.targets):
            self.targets.append(side.label)
            self.target_weights.append(weight)
            return place
        total = self.target_weights[place] + weight
        self.targets[place] += (side.label - self.targets[place]) * weight / total
        self.target_weights[place] = total
        return place


def _rendered(row: Row, renderer: Renderer) -> tuple[list[_Side], bool] | str:
    """The row's sequences, and whether one was shortened; or why there are none."""
    if isinstance(row, PairExample):
        # A plain pair in regression: chosen = 1, rejected = 0.
        better = 1.0 if row.chosen_label is None else row.chosen_label
        worse = 0.0 if row.rejected_label is None else row.rejected_label
        texts = [(_response(row.chosen), better, row.chosen_n), (_response(row.rejected), worse, row.rejected_n)]
    else:
        texts = [(row.response, row.label, row.n)]
    if not all(text.strip() for text, _, _ in texts):
        return "an empty answer"
    sides, shortened = [], False
    for text, label, visits in texts:
        fitted = renderer.fit(row.problem, text)
        if fitted is None:
            return f"longer than {renderer.max_tokens} tokens"
        sides.append(_Side(tuple(fitted.ids), label, visits))
        shortened |= fitted.shortened
    return sides, shortened


def _response(side: str) -> str:
    """A pair's side as a response. The search's prefixes end inside their block: they are responses, not programs."""
    if not side.strip() or (blocks(side) and not parses(side)):
        return side
    return as_response(side)
