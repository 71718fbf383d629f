"""The figures of a validation set and the head's first fit, on data whose answer is known."""

import numpy as np
import pytest

from coderm_slime.errors import CodermError
from coderm_slime.metrics import MetricError
from rm_train.data.units import Unit
from rm_train.metrics import set_figures

pytestmark = pytest.mark.torch


def pair(key: str, longer: int) -> Unit:
    """A pair whose chosen side has `longer` tokens more than the rejected one."""
    return Unit(key, [[1] * (5 + longer), [1] * 5], [1.0, 0.0], [1.0, 1.0], [(0, 1)], [1.0], [1.0])


def test_a_length_shortcut_shows() -> None:
    units = [pair(str(n), longer) for n, longer in enumerate((2, 2, -2, -2, 0))]
    scores = [[float(len(ids)) for ids in unit.sequences] for unit in units]
    pairs = set_figures(units, scores).pairs
    assert pairs.report.accuracy == pytest.approx(0.5)  # a tie is half
    bins = {bin_.name: (bin_.count, bin_.predicted, bin_.found) for bin_ in pairs.by_length}
    assert bins["chosen is longer"] == (2, 1.0, 1.0)
    assert bins["chosen is shorter"] == (2, 1.0, 0.0)  # the longer one always won


def test_numbers_are_what_their_formulas_say() -> None:
    units, scores = [pair("a", 0), pair("b", 1)], [[2.0, 1.0], [0.0, 0.5]]
    figures = set_figures(units, scores)
    assert figures.mse == pytest.approx((1 + 1 + 1 + 0.25) / 4)
    assert figures.pairs.loss == pytest.approx((np.log1p(np.exp(-1)) + np.log1p(np.exp(0.5))) / 2)
    assert figures.pairs.auc == pytest.approx(2 / 4)
    assert figures.pairs.margin_mean == pytest.approx(0.25)
    assert sum(figures.pairs.margins.counts) == 2


def test_calibration_compares_how_sure_with_how_right() -> None:
    units = [pair(str(n), 0) for n in range(100)]
    margin = np.log(0.75 / 0.25)
    scores = [[margin, 0.0] if n < 75 else [0.0, margin] for n in range(100)]
    (only,) = set_figures(units, scores).pairs.calibration
    assert (only.predicted, only.found) == (pytest.approx(0.75), pytest.approx(0.75))


def test_scalar_rows_have_no_pair_figures() -> None:
    units = [Unit(str(n), [[1]], [n / 3], [1.0]) for n in range(4)]
    figures = set_figures(units, [[float(n)] for n in range(4)])
    assert figures.pairs is None
    assert figures.spearman == pytest.approx(1.0)
    assert "accuracy" not in figures.headline()


def test_a_score_that_is_no_number_is_an_error() -> None:
    with pytest.raises(MetricError, match="1 of 2 scores are no numbers"):
        set_figures([pair("a", 0)], [[float("nan"), 1.0]])


def labelled(noise: float) -> tuple[object, object, list[str]]:
    """Features that lie far from 0 as a backbone's do, and labels along one direction of them."""
    import torch

    torch.manual_seed(0)
    features = torch.randn(300, 24) + 5
    labels = 0.5 + 0.1 * (features[:, 3] - 5) + noise * torch.randn(300)
    return features, labels, [str(number // 5) for number in range(300)]


def test_the_ridge_head_finds_labels_without_a_bias() -> None:
    import torch

    from rm_train.head_start import ridge_on_features

    features, labels, groups = labelled(0.01)
    weight, _, error = ridge_on_features(features, labels, torch.ones(300), groups)
    assert float((features @ weight - labels).square().mean()) < 0.05 * float(labels.var())
    assert error < 0.1 * float(labels.var())  # on problems that the fit had not seen


def test_labels_that_nothing_tells_get_their_mean() -> None:
    import torch

    from rm_train.head_start import ridge_on_features

    features, _, groups = labelled(0.0)
    labels = torch.rand(300)
    weight, _, error = ridge_on_features(features, labels, torch.ones(300), groups)
    assert float((features @ weight).mean()) == pytest.approx(float(labels.mean()), abs=1e-3)
    assert error < 1.15 * float(labels.var())


def test_a_label_that_counts_twice_is_as_two_of_it() -> None:
    import torch

    from rm_train.head_start import ridge_on_features

    features, labels, groups = labelled(0.05)
    weights = torch.tensor([1.0, 2.0, 3.0]).repeat(100)
    twice = weights.long()
    repeated = [tensor.repeat_interleave(twice, dim=0) for tensor in (features, labels)]
    names = [group for group, count in zip(groups, twice.tolist(), strict=True) for _ in range(count)]
    weight, ridge, _ = ridge_on_features(features, labels, weights, groups)
    again, same, _ = ridge_on_features(*repeated, torch.ones(int(twice.sum())), names)
    assert ridge == same
    assert weight.tolist() == pytest.approx(again.tolist(), abs=1e-5)


def test_one_problem_is_too_few_for_a_ridge_head() -> None:
    import torch

    from rm_train.head_start import ridge_on_features

    features, labels, _ = labelled(0.1)
    with pytest.raises(CodermError, match="at least two"):
        ridge_on_features(features, labels, torch.ones(300), ["same"] * 300)
