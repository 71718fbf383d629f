"""How often a reward model prefers the right program of a pair, beside what needs no understanding of the task.

A pair's two sides are scored as the model scores in training runs, but by its bare logit: no clipping, which makes
ties of what the model tells apart, and no validity floor, which is not the model's doing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from coderm_slime.chat import as_response
from coderm_slime.metrics import (
    Interval,
    PairReport,
    bootstrap_interval,
    length_scores,
    ngram_pair_floor,
    pair_outcomes,
    pair_report,
)
from coderm_slime.pycode import answer_code
from coderm_slime.records import Candidate, PairExample, ScoredCandidate


@dataclass(frozen=True)
class PairScores:
    """The scores of both sides of n pairs; None where there is none."""

    chosen: list[float | None]
    rejected: list[float | None]


class Floor(BaseModel):
    """What a rule reaches that does not know what the code should do, on the pairs that the model has scored.

    Attributes:
        margin: the model's accuracy less the rule's on the same pairs.
        margin_interval: its 95 % bootstrap interval over problems; above 0 the model knows more than the rule.
    """

    model_config = ConfigDict(frozen=True)

    accuracy: float | None
    interval: Interval | None
    margin: float | None
    margin_interval: Interval | None


class PairEvaluation(PairReport):
    """A model's `PairReport`, and the floors by name: `longer`, `shorter`, `ngram`, `likelihood` as far as known."""

    floors: dict[str, Floor]


def candidates_of(pairs: Sequence[PairExample]) -> list[Candidate]:
    """Every different side of the pairs as an answer to score, its id made of problem and text."""
    sides = {_id(pair.problem, side): (pair.problem, side) for pair in pairs for side in (pair.chosen, pair.rejected)}
    return [Candidate(id=id_, problem=problem, program=side) for id_, (problem, side) in sides.items()]


def logits_of(pairs: Sequence[PairExample], rows: Sequence[ScoredCandidate]) -> PairScores:
    """The model's logits out of a score file; None for an answer that it was not asked about."""
    raw = {row.id: row.verdict.raw for row in rows}
    return PairScores(
        [raw.get(_id(pair.problem, pair.chosen)) for pair in pairs],
        [raw.get(_id(pair.problem, pair.rejected)) for pair in pairs],
    )


def code_of(side: str) -> str:
    """The program of a pair's side, which may be a whole response."""
    block = answer_code(as_response(side))
    return side if block is None else block.code


def evaluate(pairs: Sequence[PairExample], model: PairScores, likelihood: PairScores | None = None) -> PairEvaluation:
    """The model's accuracy and the floors'.

    Args:
        likelihood: mean log-probabilities under an untrained backbone, see `evaluation.likelihood`.

    Raises:
        MetricError: no pair, or a NaN.
        CodermError: scikit-learn is missing.
    """
    groups = [pair.key for pair in pairs]
    rules = _surface_floors(pairs, groups)
    if likelihood is not None:
        rules["likelihood"] = likelihood
    report = pair_report(model.chosen, model.rejected, groups)
    floors = {name: _floor(model, rule, groups) for name, rule in rules.items()}
    return PairEvaluation(**dict(report), floors=floors)


def _surface_floors(pairs: Sequence[PairExample], groups: list[str]) -> dict[str, PairScores]:
    chosen, rejected = [code_of(pair.chosen) for pair in pairs], [code_of(pair.rejected) for pair in pairs]
    lengths = length_scores(chosen), length_scores(rejected)
    rules = {
        "longer": PairScores([*lengths[0]], [*lengths[1]]),
        "shorter": PairScores([*lengths[1]], [*lengths[0]]),
    }
    if len(set(groups)) > 1:  # it is fitted on other problems than it is judged on
        ngram = ngram_pair_floor(chosen, rejected, groups)
        rules["ngram"] = PairScores([*ngram.chosen], [*ngram.rejected])
    return rules


def _floor(model: PairScores, rule: PairScores, groups: list[str]) -> Floor:
    """The rule on the pairs where both it and the model have scores."""
    columns = [model.chosen, model.rejected, rule.chosen, rule.rejected]
    kept = [i for i in range(len(groups)) if all(column[i] is not None for column in columns)]
    if not kept:
        return Floor(accuracy=None, interval=None, margin=None, margin_interval=None)
    better, worse, rule_better, rule_worse = ([float(column[i] or 0) for i in kept] for column in columns)
    names = [groups[i] for i in kept]
    of_model, of_rule = pair_outcomes(better, worse), pair_outcomes(rule_better, rule_worse)
    return Floor(
        accuracy=float(np.mean(of_rule)),
        interval=bootstrap_interval(of_rule, names),
        margin=float(np.mean(of_model - of_rule)),
        margin_interval=bootstrap_interval(of_model - of_rule, names),
    )


def _id(problem: str, side: str) -> str:
    return hashlib.sha256(f"{problem}\0{side}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
