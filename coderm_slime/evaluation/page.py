"""The saved report on a pair evaluation: key figures, accuracy beside the floors, and what the model got wrong."""

from collections.abc import Sequence

from coderm_slime.evaluation.pairs import PairEvaluation, PairScores
from coderm_slime.metrics import Interval
from coderm_slime.records import PairExample
from coderm_slime.report import (
    Bar,
    KeyFigure,
    Section,
    bar_chart,
    code_block,
    key_figures,
    page,
    paragraph,
    table,
    text_block,
)

FLOOR_MEANINGS = {
    "longer": "the longer program wins",
    "shorter": "the shorter program wins",
    "ngram": "logistic regression on token 1-3-grams, fitted on other problems",
    "likelihood": "an untrained language model's mean log-probability of the code",
}
_FLOOR_LABELS = {"longer": "longer", "shorter": "shorter", "ngram": "n-grams", "likelihood": "likelihood"}
_MISTAKES_SHOWN = 5


def pairs_page(
    model: str,
    source: str,
    found: PairEvaluation,
    pairs: Sequence[PairExample],
    scores: PairScores,
    notes: Sequence[str],
) -> str:
    """The page, self-contained.

    Args:
        model, source: names of what was evaluated, and on what.
        notes: what a reader has to know beside the numbers.
    """
    figures = [
        KeyFigure("pair accuracy", _three(found.accuracy), _between(found.interval)),
        KeyFigure("by problem", _three(found.macro_accuracy), "mean over problems"),
        KeyFigure("pairs", found.pairs, f"{found.problems} problems"),
        KeyFigure("not scored", found.abstained, "left out, not counted as wrong"),
    ]
    bars = [_bar(model, found.accuracy, found.interval, muted=False)] if found.accuracy is not None else []
    bars += [
        _bar(_FLOOR_LABELS[name], floor.accuracy, floor.interval, muted=True)
        for name, floor in found.floors.items()
        if floor.accuracy is not None
    ]
    rows = [
        (
            f"{_FLOOR_LABELS[name]}: {FLOOR_MEANINGS[name]}",
            floor.accuracy,
            _between(floor.interval),
            floor.margin,
            _between(floor.margin_interval),
        )
        for name, floor in found.floors.items()
    ]
    columns = ("floor", "accuracy", "95 % interval", "model less floor", "95 % interval")
    sections = [
        Section("What was found", [key_figures(figures), *map(paragraph, notes)]),
        Section(
            "Beside rules that do not know the task",
            [
                bar_chart("Share of pairs in which the right program scores higher; dashed: chance", bars, line=0.5),
                table(columns, rows),
            ],
        ),
        *_mistakes(pairs, scores),
    ]
    return page(f"{model} on {source}", sections)


def _mistakes(pairs: Sequence[PairExample], scores: PairScores) -> list[Section]:
    """The pairs ordered most wrongly."""
    gaps = [
        (better - worse, better, worse, pair)
        for better, worse, pair in zip(scores.chosen, scores.rejected, pairs, strict=True)
        if better is not None and worse is not None and better < worse
    ]
    gaps.sort(key=lambda row: row[0])
    blocks = [
        block
        for _, better, worse, pair in gaps[:_MISTAKES_SHOWN]
        for block in (
            text_block(pair.problem),
            paragraph(f"right, logit {better:.3f}:"),
            code_block(pair.chosen),
            paragraph(f"wrong, logit {worse:.3f}:"),
            code_block(pair.rejected),
        )
    ]
    return [Section(f"The worst of {len(gaps)} wrong decisions", blocks)] if blocks else []


def _bar(label: str, accuracy: float, interval: Interval | None, *, muted: bool) -> Bar:
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Bar(label, accuracy, low, high, muted)


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"
