"""Floors: what reaches an accuracy on a set of pairs without knowing what the code should do.

An accuracy says something about a reward model only beside the floors of the same pairs:

- length (`length_scores`) and surface (`ngram_pair_floor`), computed here from the code alone;
- likelihood: the mean log-probability per token of the code under the untrained backbone. It needs a model, so it
  comes from outside as scores, which `pair_report` reads like any others. Where the wrong programs are edits of right
  ones it is the highest of the three, since an edit looks odd to a language model.
"""

import importlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from coderm_slime.errors import CodermError
from coderm_slime.metrics.arrays import MetricError, group_index, same_length

TOKEN = r"\w+|[^\w\s]"  # names, numbers, single marks; layout is left out


@dataclass(frozen=True)
class FloorScores:
    """A floor's scores of both sides of n pairs, in the order of the pairs, as `pair_report` takes them."""

    chosen: list[float]
    rejected: list[float]


def length_scores(texts: Sequence[str]) -> list[float]:
    """The length of each text in characters, as a score: "the longer one wins".

    One set serves for both rules: an accuracy a below 0.5 means that "the shorter one wins" reaches 1 - a.
    """
    return [float(len(text)) for text in texts]


def require_scikit_learn() -> None:
    """Make sure, before long work, that `ngram_pair_floor` can be computed after it.

    Raises:
        CodermError: scikit-learn is missing.
    """
    try:
        for module in ("feature_extraction.text", "linear_model", "model_selection"):
            importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise CodermError(f"the n-gram floor needs the extra 'eval' (scikit-learn): {error}") from error


def ngram_pair_floor(
    chosen: Sequence[str], rejected: Sequence[str], groups: Sequence[Hashable], *, folds: int = 5
) -> FloorScores:
    """Scores by a logistic regression on counts of token 1- to 3-grams of the code, with no problem text.

    The regression sees the difference of a pair's counts (Bradley and Terry's model, linear in the counts): what is
    asked of a reward model is asked of it. Each pair is scored by a fit on other problems only, so no program that it
    has seen helps it. Scores compare within a pair, not between pairs of different folds. Deterministic.

    Args:
        chosen, rejected: shape [n], bare code.
        groups: shape [n], the problem of each pair.
        folds: parts that the problems are cut into, at most as many as there are problems.

    Raises:
        MetricError: lengths that differ, fewer than two problems, or fewer than two folds.
        CodermError: scikit-learn is missing.
    """
    same_length(chosen=chosen, rejected=rejected, groups=groups)
    require_scikit_learn()
    from scipy.sparse import vstack
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    problems = group_index(groups)
    folds = min(folds, len(set(groups)))
    if folds < 2:
        raise MetricError(f"{len(set(groups))} problem(s) in {folds} fold(s): the n-gram floor needs two of each")
    counter = CountVectorizer(lowercase=False, token_pattern=TOKEN, ngram_range=(1, 3), dtype=np.float64)
    # Counted over all pairs at once: an n-gram that a fit has not seen keeps the weight 0, so nothing leaks.
    counts = counter.fit_transform([*chosen, *rejected])
    better, worse = counts[: len(chosen)], counts[len(chosen) :]
    difference = better - worse
    scores = np.zeros((2, len(chosen)))
    for train, test in GroupKFold(folds).split(problems, groups=problems):
        # Every pair stands both ways round, since a fit needs two classes; so an intercept would be 0 and is left out.
        both_ways = vstack([difference[train], -difference[train]])
        won = np.repeat([1, 0], len(train))
        model = LogisticRegression(solver="liblinear", fit_intercept=False).fit(both_ways, won)
        scores[:, test] = model.decision_function(better[test]), model.decision_function(worse[test])
    return FloorScores(chosen=scores[0].tolist(), rejected=scores[1].tolist())
