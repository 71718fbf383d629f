"""Group normalisation that leaves abstentions out: `--custom-reward-post-process-path`.

slime's own, which this replaces, counts a removed sample into its group's mean and deviation, and takes the whole
batch for one group as soon as one group is short.
"""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from reward.samples import abstains, metadata_of

_GROUPED = ("grpo", "gspo", "cispo", "reinforce_plus_plus_baseline")
_SCALED = ("grpo", "gspo", "cispo")  # by the deviation, too
_TINY = 1e-6  # as in slime: keeps a group of equal rewards finite


def normalize_groups(args: Any, samples: Sequence[Any]) -> tuple[list[float], list[float]]:
    """The raw rewards, and the rewards normalised within each group (slime's `group_index`), both flat and in order.

    A sample whose verdict abstains gets 0.0, an advantage of nothing, and counts for no mean or deviation. What
    slime's flags say holds: estimators without group rewards, and `--disable-rewards-normalization`, leave rewards as
    they are; `--disable-grpo-std-normalization` leaves the deviation out. A group's only scored sample gets 0.0.

    Args:
        args: slime's arguments, of which `advantage_estimator`, `rewards_normalization`, `grpo_std_normalization` and
            `reward_key` are read.
    """
    raw = [_reward(args, sample) for sample in samples]
    estimator = getattr(args, "advantage_estimator", "grpo")
    if estimator not in _GROUPED or not getattr(args, "rewards_normalization", True):
        return raw, list(raw)
    scaled = estimator in _SCALED and getattr(args, "grpo_std_normalization", True)
    groups: dict[Any, list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        if not abstains(metadata_of(sample)):
            groups[getattr(sample, "group_index", None)].append(place)
    normal = [0.0] * len(raw)
    for places in groups.values():
        for place, value in zip(places, _normalised([raw[place] for place in places], scaled), strict=True):
            normal[place] = value
    return raw, normal


def _normalised(rewards: list[float], scaled: bool) -> list[float]:
    mean = fmean(rewards)
    deviation = stdev(rewards) if scaled and len(rewards) > 1 else None
    return [(reward - mean) / (1.0 if deviation is None else deviation + _TINY) for reward in rewards]


def _reward(args: Any, sample: Any) -> float:
    key = getattr(args, "reward_key", None)
    return float(sample.reward[key] if key else sample.reward)
