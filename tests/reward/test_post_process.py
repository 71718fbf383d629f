"""Group normalisation: what slime's flags say, without the samples that abstained."""

import inspect
from statistics import fmean, stdev
from types import SimpleNamespace
from typing import Any

import pytest

from reward.post_process import normalize_groups

FLAGS = {"advantage_estimator": "grpo", "rewards_normalization": True, "grpo_std_normalization": True}


def sample(reward: Any, group: int, score: float | None = 1.0) -> SimpleNamespace:
    return SimpleNamespace(reward=reward, group_index=group, metadata={"coderm": {"score": score}})


def test_its_names_are_those_that_slime_calls() -> None:
    assert list(inspect.signature(normalize_groups).parameters) == ["args", "samples"]


def test_each_group_is_normalised_by_its_own_mean_and_deviation_though_groups_are_uneven() -> None:
    rewards = {1: [1.0, 2.0, 4.0], 2: [0.0, -4.0]}
    samples = [sample(1.0, 1), sample(0.0, 2), sample(2.0, 1), sample(-4.0, 2), sample(4.0, 1)]
    raw, normal = normalize_groups(SimpleNamespace(**FLAGS), samples)
    assert raw == [1.0, 0.0, 2.0, -4.0, 4.0]
    for value, one in zip(normal, samples, strict=True):
        group = rewards[one.group_index]
        assert value == pytest.approx((one.reward - fmean(group)) / (stdev(group) + 1e-6))


def test_an_abstention_has_no_advantage_and_moves_no_other() -> None:
    scored = [sample(1.0, 1), sample(3.0, 1)]
    _, alone = normalize_groups(SimpleNamespace(**FLAGS), scored)
    _, beside = normalize_groups(SimpleNamespace(**FLAGS), [*scored, sample(0.0, 1, score=None)])
    assert beside == [*alone, 0.0]


def test_a_group_of_one_or_of_equals_or_of_abstentions_has_no_advantage() -> None:
    samples = [sample(3.0, 1), sample(2.0, 2), sample(2.0, 2), sample(0.0, 3, None), sample(0.0, 3, None)]
    assert normalize_groups(SimpleNamespace(**FLAGS), samples)[1] == [0.0] * 5


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"grpo_std_normalization": False}, [-1.0, 1.0]),
        ({"advantage_estimator": "reinforce_plus_plus_baseline"}, [-1.0, 1.0]),
        ({"rewards_normalization": False}, [1.0, 3.0]),
        ({"advantage_estimator": "ppo"}, [1.0, 3.0]),
    ],
)
def test_slimes_flags_hold(flags: dict[str, Any], expected: list[float]) -> None:
    assert normalize_groups(SimpleNamespace(**FLAGS | flags), [sample(1.0, 1), sample(3.0, 1)])[1] == expected


def test_empty_arguments_and_dict_rewards_are_taken() -> None:
    foreign = SimpleNamespace(reward=2, group_index=None, metadata=None)
    assert normalize_groups(SimpleNamespace(), [foreign]) == ([2.0], [0.0])
    keyed = SimpleNamespace(**FLAGS, reward_key="score")
    assert normalize_groups(keyed, [sample({"score": 1.0}, 1), sample({"score": 3.0}, 1)])[0] == [1.0, 3.0]
