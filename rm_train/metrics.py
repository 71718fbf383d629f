"""What the scores of a validation set show, beyond one accuracy: scale, calibration, and shortcuts by length.

Made of `coderm_slime.metrics`; knows neither model nor files.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from coderm_slime.metrics import MetricError, PairReport, auc, pair_outcomes, pair_report, spearman
from rm_train.data.units import Unit

Array = NDArray[np.float64]
_BINS = 10


class Histogram(BaseModel):
    """Counts between `edges`, one more than counts; all values lie within."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Histogram":
        """In ten bins of equal width."""
        counts, edges = np.histogram(np.asarray(values, dtype=float), bins=_BINS)
        return cls(edges=tuple(edges.tolist()), counts=tuple(counts.tolist()))


class Bin(BaseModel):
    """Some of the pairs or sequences: how many, what was predicted on average, what was so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    count: int
    predicted: float
    found: float


class PairFigures(BaseModel):
    """On pairs.

    Attributes:
        report: accuracy with ties half, its interval by problem.
        loss: mean of -log sigmoid(margin).
        auc: the chance that any chosen program is above any rejected one, whatever their problems.
        margins: of chosen over rejected.
        calibration: pairs by how sure the model is of the one it prefers (sigmoid of |margin|), and how often it is
            right there.
        by_length: pairs by which side has more tokens; `predicted` is the part in which the longer one won.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: PairReport
    loss: float
    auc: float
    margin_mean: float
    margins: Histogram
    calibration: tuple[Bin, ...]
    by_length: tuple[Bin, ...]


class SetFigures(BaseModel):
    """Of one validation set. Sequences count once each, however many pairs they are in.

    Attributes:
        mse: of scores to labels; a pair without labels has 1 and 0.
        spearman: of scores and labels; None where one side is all equal.
        calibration: sequences by score, and their mean label.
        pairs: None without pairs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    units: int
    sequences: int
    mse: float
    spearman: float | None
    score_mean: float
    score_deviation: float
    scores: Histogram
    calibration: tuple[Bin, ...]
    pairs: PairFigures | None

    def headline(self) -> dict[str, float]:
        """The numbers that curves are drawn of."""
        numbers = {"mse": self.mse, "score_mean": self.score_mean, "score_deviation": self.score_deviation}
        if self.spearman is not None:
            numbers["spearman"] = self.spearman
        if self.pairs is not None and self.pairs.report.accuracy is not None:
            numbers |= {"accuracy": self.pairs.report.accuracy, "loss": self.pairs.loss, "auc": self.pairs.auc}
            numbers |= {"margin_mean": self.pairs.margin_mean}
        return numbers


def set_figures(units: Sequence[Unit], scores: Sequence[Sequence[float]]) -> SetFigures:
    """The figures of `units`, whose sequences have `scores`.

    Raises:
        MetricError: no unit, or a score that is no number.
    """
    flat = np.array([score for of_unit in scores for score in of_unit], dtype=float)
    if not len(flat) or not np.isfinite(flat).all():
        raise MetricError(f"{int((~np.isfinite(flat)).sum())} of {len(flat)} scores are no numbers")
    targets = np.array([target for unit in units for target in unit.targets])
    weights = np.array([weight for unit in units for weight in unit.target_weights])
    return SetFigures(
        units=len(units),
        sequences=len(flat),
        mse=float(np.average((flat - targets) ** 2, weights=weights)),
        spearman=_spearman(flat, targets),
        score_mean=float(flat.mean()),
        score_deviation=float(flat.std()),
        scores=Histogram.of(flat.tolist()),
        calibration=_by_quantile(flat, targets),
        pairs=_pair_figures(units, scores),
    )


def _pair_figures(units: Sequence[Unit], scores: Sequence[Sequence[float]]) -> PairFigures | None:
    rows = [
        (of[better], of[worse], len(unit.sequences[better]) - len(unit.sequences[worse]), unit.key)
        for unit, of in zip(units, scores, strict=True)
        for better, worse in unit.pairs
    ]
    if not rows:
        return None
    chosen, rejected = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    longer = np.array([row[2] for row in rows])
    margins = chosen - rejected
    return PairFigures(
        report=pair_report(chosen.tolist(), rejected.tolist(), [row[3] for row in rows]),
        loss=float(np.logaddexp(0, -margins).mean()),
        auc=auc(chosen, rejected),
        margin_mean=float(margins.mean()),
        margins=Histogram.of(margins.tolist()),
        calibration=_pair_calibration(margins),
        by_length=_by_length(pair_outcomes(chosen, rejected), longer),
    )


def _pair_calibration(margins: Array) -> tuple[Bin, ...]:
    sure = 1 / (1 + np.exp(-np.minimum(np.abs(margins), 50)))
    right = (margins > 0) + 0.5 * (margins == 0)
    edges = np.linspace(0.5, 1.0, _BINS // 2 + 1)
    place = np.clip(np.digitize(sure, edges) - 1, 0, len(edges) - 2)
    return tuple(
        _bin(f"{edges[index]:.1f} to {edges[index + 1]:.1f}", sure[place == index], right[place == index])
        for index in range(len(edges) - 1)
        if (place == index).any()
    )


def _by_length(outcomes: Array, longer: NDArray[np.int64]) -> tuple[Bin, ...]:
    """`found` is the accuracy; `predicted` how often the longer side won, half where both are as long."""
    kinds = (("chosen is longer", longer > 0), ("as long", longer == 0), ("chosen is shorter", longer < 0))
    longer_won = np.where(longer > 0, outcomes, np.where(longer < 0, 1 - outcomes, 0.5))
    return tuple(_bin(name, longer_won[where], outcomes[where]) for name, where in kinds if where.any())


def _by_quantile(scores: Array, targets: Array) -> tuple[Bin, ...]:
    """Sequences in up to ten parts of equal size by score."""
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    return tuple(_bin(f"part {n}", scores[part], targets[part]) for n, part in enumerate(parts, start=1))


def _bin(name: str, predicted: Array, found: Array) -> Bin:
    return Bin(name=name, count=len(found), predicted=float(predicted.mean()), found=float(found.mean()))


def _spearman(scores: Array, targets: Array) -> float | None:
    try:
        return spearman(scores, targets)
    except MetricError:
        return None  # one side is all equal, which orders nothing
