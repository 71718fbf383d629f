"""Numbers about scores: how often they order pairs rightly, with which certainty, and what surface cues alone reach.

Covers pair accuracy by problem, its bootstrap interval, AUC, Spearman's correlation, and the floors that any accuracy
stands beside. Knows nothing of where scores come from: it reads no file and asks no model.
"""

from coderm_slime.metrics.arrays import MetricError
from coderm_slime.metrics.bootstrap import Interval, auc_interval, bootstrap_interval
from coderm_slime.metrics.floors import FloorScores, length_scores, ngram_pair_floor, require_scikit_learn
from coderm_slime.metrics.pairs import PairReport, macro, pair_accuracy, pair_outcomes, pair_report
from coderm_slime.metrics.ranks import auc, spearman

__all__ = [
    "FloorScores",
    "Interval",
    "MetricError",
    "PairReport",
    "auc",
    "auc_interval",
    "bootstrap_interval",
    "length_scores",
    "macro",
    "ngram_pair_floor",
    "pair_accuracy",
    "pair_outcomes",
    "pair_report",
    "require_scikit_learn",
    "spearman",
]
