"""Metrics against values worked out by hand, by brute force, or by another library."""

import random
import sys

import numpy as np
import pytest

from coderm_slime.errors import CodermError
from coderm_slime.metrics import (
    Interval,
    MetricError,
    auc,
    bootstrap_interval,
    length_scores,
    macro,
    ngram_pair_floor,
    pair_accuracy,
    pair_outcomes,
    pair_report,
    spearman,
)

NAN, INF = float("nan"), float("inf")


def test_pair_accuracy_counts_a_tie_as_half() -> None:
    assert pair_outcomes([2, 1, 0], [1, 1, 1]).tolist() == [1, 0.5, 0]
    assert pair_accuracy([2, 1, 0, 5], [1, 1, 1, 4]) == 2.5 / 4
    assert pair_accuracy([-INF, 0], [-INF, -INF]) == 0.75  # a program of probability 0 can still be compared


@pytest.mark.parametrize(
    ("chosen", "rejected", "named"),
    [
        ([1, NAN], [0, 0], r"chosen\[1\]"),
        ([1, 1], [0, None], r"rejected\[1\]"),
        ([1], [0, 0], "chosen': 1, 'rejected': 2"),
        ([], [], "at least one"),
        ([[1, 2]], [[0, 1]], "shape"),
    ],
)
def test_what_is_no_score_is_an_error_that_says_where(chosen: list, rejected: list, named: str) -> None:
    with pytest.raises(MetricError, match=named):
        pair_accuracy(chosen, rejected)


def test_macro_gives_every_problem_the_same_weight() -> None:
    assert macro([1, 0, 0, 0, 1], ["a", "b", "b", "b", "b"]) == (1 + 0.25) / 2


def test_a_report_leaves_abstained_pairs_out_counts_them_and_never_calls_them_lost() -> None:
    report = pair_report([2, 1, None, 0, 3, None], [1, 1, 0, 1, None, None], ["a", "a", "a", "b", "c", "d"])
    assert (report.pairs, report.problems, report.ties, report.abstained) == (3, 2, 1, 3)
    assert report.accuracy == 1.5 / 3
    assert report.macro_accuracy == (0.75 + 0) / 2
    assert report.interval == Interval(low=0, high=0.75)  # both times the worse problem, both times the better one
    assert type(report).model_validate_json(report.model_dump_json()) == report


def test_a_report_in_which_everything_abstained_has_no_accuracy() -> None:
    report = pair_report([None, 1], [0, None], ["a", "b"])
    assert (report.accuracy, report.interval, report.macro_accuracy) == (None, None, None)
    assert (report.pairs, report.abstained) == (0, 2)


def test_a_report_on_no_pairs_or_on_nan_is_an_error() -> None:
    for chosen, groups in (([], []), ([NAN], ["a"]), ([1, 2], ["a"])):
        with pytest.raises(MetricError):
            pair_report(chosen, [0.0] * len(chosen), groups)


def test_the_bootstrap_draws_whole_problems_and_means_over_their_pairs() -> None:
    # Two problems: one pair won, three pairs lost. Draws: AA 1 (p = 1/4), AB 1/4 (p = 1/2), BB 0 (p = 1/4).
    values, groups = [1, 0, 0, 0], ["a", "b", "b", "b"]
    assert bootstrap_interval(values, groups) == Interval(low=0, high=1)
    assert bootstrap_interval(values, groups, level=0.4) == Interval(low=0.25, high=0.25)


def test_the_bootstrap_is_the_same_each_time_and_whatever_the_order_of_a_problems_pairs() -> None:
    groups = [f"p{row % 7}" for row in range(60)]
    values = np.random.default_rng(1).random(60)
    first = bootstrap_interval(values, groups)
    assert first == bootstrap_interval(values.tolist(), groups)
    swapped = values.copy()
    swapped[[0, 7]] = values[[7, 0]]
    again = bootstrap_interval(swapped, groups)
    assert (again.low, again.high) == pytest.approx((first.low, first.high))
    assert first != bootstrap_interval(values, groups, seed=1)


def test_one_problem_shows_no_spread_and_has_no_interval() -> None:
    assert bootstrap_interval([1, 0, 1], ["a", "a", "a"]) is None
    assert pair_report([1, 0], [0, 1], ["a", "a"]).interval is None


def test_the_interval_covers_the_truth_as_often_as_it_says_and_one_over_single_pairs_does_not() -> None:
    rng = np.random.default_rng(0)
    covered = {"by problem": 0, "by pair": 0}
    for _ in range(200):
        sizes = rng.integers(2, 20, size=40)
        win_rates = rng.choice([0.2, 0.9], size=40)  # independent of the sizes: the expected accuracy is 0.55
        groups = np.repeat(np.arange(40), sizes).tolist()
        wins = (rng.random(len(groups)) < np.repeat(win_rates, sizes)).astype(float)
        for kind, drawn in (("by problem", groups), ("by pair", range(len(groups)))):
            interval = bootstrap_interval(wins, drawn, resamples=400)
            covered[kind] += interval.low <= 0.55 <= interval.high
    assert 0.90 <= covered["by problem"] / 200 <= 0.99
    assert covered["by pair"] / 200 < 0.75


def test_the_interval_of_a_difference_sees_what_two_intervals_hide() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(50), 4).tolist()
    floor = (rng.random(200) < np.repeat(rng.choice([0.1, 0.9], 50), 4)).astype(float)
    model = np.where(rng.random(200) < 0.15, 1.0, floor)  # better on some pairs, never worse
    one, other = bootstrap_interval(floor, groups), bootstrap_interval(model, groups)
    assert one.high > other.low
    assert bootstrap_interval(model - floor, groups).low > 0


def test_auc_equals_the_count_over_all_combinations() -> None:
    rng = random.Random(0)
    right = [rng.randrange(8) for _ in range(40)]
    wrong = [rng.randrange(6) for _ in range(30)]
    brute = sum((high > low) + 0.5 * (high == low) for high in right for low in wrong) / (40 * 30)
    assert auc(right, wrong) == pytest.approx(brute)
    assert auc([3, 4], [1, 2]) == 1
    assert auc([1], [1]) == 0.5
    with pytest.raises(MetricError, match="wrong"):
        auc([1], [])


def test_spearman_ranks_ties_by_their_mean() -> None:
    # Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: deviations multiply to 4.5, their squares sum to 4.5 and 5.
    assert spearman([1, 2, 2, 9], [10, 20, 30, 40]) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert spearman([1, 2, 3], [9, 4, -INF]) == pytest.approx(-1)
    with pytest.raises(MetricError, match="equal"):
        spearman([1, 1], [1, 2])


@pytest.mark.eval
def test_auc_and_spearman_agree_with_the_libraries() -> None:
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(5)
    x, y, labels = rng.integers(0, 9, 200), rng.integers(0, 9, 200), rng.random(200) < 0.4
    x = x + y
    assert spearman(x.tolist(), y.tolist()) == pytest.approx(spearmanr(x, y).statistic)
    assert auc(x[labels], x[~labels]) == pytest.approx(roc_auc_score(labels, x))


def test_length_as_a_score_lets_the_longer_text_win() -> None:
    assert length_scores(["", "ab\n"]) == [0, 3]
    assert pair_accuracy(length_scores(["aaa", "b"]), length_scores(["a", "bb"])) == 0.5


def noise(rng: random.Random) -> str:
    """A line of code that says nothing about which side it stands on."""
    return f"x = {rng.choice('abcdefgh')} {rng.choice('+-*/')} {rng.choice('abcdefgh')}\n"


@pytest.mark.eval
def test_the_ngram_floor_finds_a_planted_leak_and_stays_at_chance_without_one() -> None:
    rng = random.Random(0)
    groups = [f"p{row % 40}" for row in range(400)]
    chosen, rejected = [noise(rng) for _ in groups], [noise(rng) for _ in groups]
    fair = ngram_pair_floor(chosen, rejected, groups)
    assert 0.4 < pair_accuracy(fair.chosen, fair.rejected) < 0.6
    assert fair == ngram_pair_floor(chosen, rejected, groups)
    marked = [code + "if x <= n: return x" for code in chosen]
    leaky = ngram_pair_floor(marked, [code + "if x < n: return x" for code in rejected], groups)
    assert pair_accuracy(leaky.chosen, leaky.rejected) > 0.95


@pytest.mark.eval
def test_the_ngram_floor_cannot_learn_a_problems_own_programs() -> None:
    rng = random.Random(0)
    groups = [f"p{row // 10}" for row in range(400)]
    chosen = [noise(rng) + f"return good_{group}" for group in groups]  # a name that tells only within its problem
    rejected = [noise(rng) + f"return bad_{group}" for group in groups]
    by_problem = ngram_pair_floor(chosen, rejected, groups)
    assert 0.4 < pair_accuracy(by_problem.chosen, by_problem.rejected) < 0.6
    by_pair = ngram_pair_floor(chosen, rejected, range(400))
    assert pair_accuracy(by_pair.chosen, by_pair.rejected) > 0.95  # what the grouping keeps out


@pytest.mark.eval
def test_the_ngram_floor_needs_two_problems_and_makes_no_more_folds_than_problems() -> None:
    with pytest.raises(MetricError, match="1 problem"):
        ngram_pair_floor(["a", "b"], ["c", "d"], ["p", "p"])
    assert len(ngram_pair_floor(["a b", "b", "c"], ["c", "d", "e"], ["p", "q", "q"]).chosen) == 3


def test_the_ngram_floor_without_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(CodermError, match="extra 'eval'"):
        ngram_pair_floor(["a", "b"], ["c", "d"], ["p", "q"])
