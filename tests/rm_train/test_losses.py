"""Losses, schedule and packing against plain numpy."""

import numpy as np
import pytest

from rm_train.config import Loss
from rm_train.data.plan import Plan, micro_batches, rows_of
from rm_train.data.units import Unit
from rm_train.schedule import Schedule

pytestmark = pytest.mark.torch

UNITS = [
    Unit("a", [[1, 2], [3]], [1.0, 0.0], [1.0, 2.0], [(0, 1)], [1.5], [0.5]),
    Unit("b", [[4, 5, 6]], [0.25], [3.0]),
    Unit("c", [[7], [8, 9], [10]], [0.9, 0.4, 0.1], [1.0, 1.0, 1.0], [(0, 1), (0, 2)], [1.0, 2.0], [0.5, 0.8]),
]
SCORES = [0.3, -0.7, 1.2, 2.0, 0.1, -0.4]


def loss_in_parts(loss: Loss, parts: list[list[int]]) -> tuple[float, list[float]]:
    """The loss and its gradients when each of `parts` is a micro-batch."""
    import torch

    from rm_train.data.batch import MicroBatch
    from rm_train.losses import Totals, loss_of

    totals = Totals.of((sum(u.target_weights) for u in UNITS), (sum(u.pair_weights) for u in UNITS))
    places = np.cumsum([0, *(len(unit.sequences) for unit in UNITS)])
    scores = torch.tensor(SCORES, requires_grad=True)
    total = 0.0
    for part in parts:
        index = [int(places[unit]) + n for unit in part for n in range(len(UNITS[unit].sequences))]
        value = loss_of(scores[index], MicroBatch.of([UNITS[unit] for unit in part]), loss, totals)
        value.backward()
        total += float(value.detach())
    return total, scores.grad.tolist()


def log_sigmoid(x: float) -> float:
    return -float(np.log1p(np.exp(-x)))


def expected_mse() -> float:
    targets, weights = [1.0, 0.0, 0.25, 0.9, 0.4, 0.1], [1.0, 2.0, 3.0, 1.0, 1.0, 1.0]
    errors = [w * (s - t) ** 2 for w, s, t in zip(weights, SCORES, targets, strict=True)]
    return sum(errors) / sum(weights)


def expected_pairs(margin: float = 0.0, smoothing: float = 0.0, centring: float = 0.0) -> float:
    pairs = [(0.3, -0.7, 1.5, 0.5), (2.0, 0.1, 1.0, 0.5), (2.0, -0.4, 2.0, 0.8)]
    total = 0.0
    for better, worse, weight, gap in pairs:
        x = better - worse - margin * gap
        each = -(1 - smoothing) * log_sigmoid(x) - smoothing * log_sigmoid(-x)
        total += weight * (each + centring * (better + worse) ** 2)
    return total / 4.5


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (Loss(kind="mse"), expected_mse()),
        (Loss(kind="bradley_terry"), expected_pairs()),
        (Loss(kind="bradley_terry", margin=0.7), expected_pairs(margin=0.7)),
        (Loss(kind="bradley_terry", label_smoothing=0.1), expected_pairs(smoothing=0.1)),
        (Loss(kind="bradley_terry", centring=0.01), expected_pairs(centring=0.01)),
        (Loss(kind="mixed", mse_weight=0.3), expected_pairs() + 0.3 * expected_mse()),
    ],
    ids=["mse", "pairs", "margin", "smoothing", "centring", "mixed"],
)
def test_a_loss_is_what_its_formula_says_however_the_step_is_cut(loss: Loss, expected: float) -> None:
    whole, gradients = loss_in_parts(loss, [[0, 1, 2]])
    assert whole == pytest.approx(expected, abs=1e-6)
    cut, in_parts = loss_in_parts(loss, [[2], [1, 0]])
    assert cut == pytest.approx(expected, abs=1e-6)
    assert in_parts == pytest.approx(gradients, abs=1e-6)


def test_the_gradient_of_a_pair_is_that_of_bradley_and_terry() -> None:
    _, gradients = loss_in_parts(Loss(kind="bradley_terry"), [[0, 1, 2]])
    assert gradients[0] == pytest.approx(-1.5 / (1 + np.exp(1.0)) / 4.5, abs=1e-6)
    assert gradients[2] == 0  # a single label has no pair


def test_what_a_rank_reads_for_nothing_counts_for_nothing() -> None:
    import torch

    from rm_train.data.batch import MicroBatch
    from rm_train.losses import Totals, loss_of

    scores = torch.tensor(SCORES[:2], requires_grad=True)
    for kind in ("mse", "bradley_terry", "mixed"):
        loss_of(scores, MicroBatch.of([UNITS[0]]).weightless(), Loss(kind=kind), Totals(1.0, 1.0)).backward()
    assert scores.grad.tolist() == [0, 0]


def test_micro_batches_hold_every_unit_once_within_the_budget_and_as_many_for_each_rank() -> None:
    generator = np.random.default_rng(0)
    for ranks in (1, 2, 3, 8):
        for count in (0, 1, 2, 7, 100):
            tokens = generator.integers(1, 400, count).tolist()
            packed = micro_batches(tokens, 400, ranks)
            assert len(packed) % ranks == 0
            assert sorted(index for batch in packed for index in batch) == list(range(count))
            assert max(sum(tokens[index] for index in batch) for batch in packed) <= 400


def test_micro_batches_waste_little() -> None:
    tokens = np.random.default_rng(1).integers(50, 400, 500).tolist()
    assert len(micro_batches(tokens, 2000, 1)) <= 1.1 * sum(tokens) / 2000 + 1


def test_a_unit_above_the_budget_is_refused_not_cut() -> None:
    with pytest.raises(ValueError, match="401 tokens exceeds the budget of 400"):
        micro_batches([1, 401], 400, 2)


def test_an_epoch_reads_everything_once_in_an_order_that_the_seed_decides() -> None:
    rows = np.array([1, 3, 2, 1, 5, 1, 1, 4, 1, 2])
    plan, again = (Plan(rows, epochs=2, batch=5, seed=7) for _ in range(2))
    steps = [plan.units(step).tolist() for step in range(plan.total_steps)]
    assert steps == [again.units(step).tolist() for step in range(plan.total_steps)]
    flat = [unit for step in steps for unit in step]
    assert sorted(flat) == sorted([*range(10), *range(10)])
    assert flat[:10] != flat[10:]
    assert all(steps)
    other = Plan(rows, epochs=2, batch=5, seed=8)
    assert [other.units(step).tolist() for step in range(other.total_steps)] != steps


def test_single_rows_make_steps_of_the_batch_and_one_of_the_rest() -> None:
    plan = Plan(np.ones(13, dtype=np.int64), epochs=1, batch=5, seed=0)
    assert [len(plan.units(step)) for step in range(plan.total_steps)] == [5, 5, 3]


def test_units_without_what_the_loss_needs_are_in_no_step() -> None:
    rows = rows_of("bradley_terry", np.array([1, 2, 1]), np.array([0, 1, 0]))
    plan = Plan(rows, epochs=1, batch=2, seed=0)
    assert [plan.units(step).tolist() for step in range(plan.total_steps)] == [[1]]


def test_the_rate_warms_up_falls_as_a_cosine_and_is_never_zero_in_a_step() -> None:
    schedule = Schedule(peak=2.0, total_steps=100, warmup=0.03)
    rates = [schedule.lr(schedule.progress(step, 1e9)) for step in range(100)]
    assert rates[:3] == pytest.approx([2 / 3, 4 / 3, 2.0])
    assert rates[50] == pytest.approx(1 + np.cos(np.pi * (0.5 - 0.03) / 0.97))
    assert min(rates) > 0
    assert rates[3:] == sorted(rates[3:], reverse=True)


def test_a_time_budget_shortens_the_schedule_and_ends_it() -> None:
    schedule = Schedule(peak=1.0, total_steps=100, warmup=0.03, budget_s=60)
    assert schedule.progress(10, 30.0) == 0.5  # the clock is ahead
    assert schedule.progress(90, 30.0) == 0.9  # the steps are
    assert schedule.progress(10, 61.0) == 1.0
    assert schedule.lr(0.999) < 1e-4
