"""What every reward function does with one of slime's samples: read it, write the verdict into it, give the number."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from coderm_slime.records import Verdict
from reward.failures import Failures


async def for_each(reward: Callable[[Any, Any], Awaitable[Any]], args: Any, samples: Sequence[Any]) -> list[Any]:
    """The rewards of samples, in order and at the same time; a list among them gives a list."""
    return list(await asyncio.gather(*(reward(args, sample) for sample in samples)))


def settle(sample: Any, verdict: Verdict, failures: Failures) -> float:
    """Write the verdict to `sample.metadata["coderm"]` and return its reward; an abstention leaves the loss.

    Raises:
        RewardUnavailable: it has none and may not abstain, or too many of the last ones have none.
    """
    sample.metadata = {**metadata_of(sample), "coderm": verdict.model_dump(mode="json")}
    score = failures.score_of(verdict)
    if score is None:
        sample.remove_sample = True
        return 0.0  # slime needs a number; `normalize_groups` leaves it out
    return score


def metadata_of(sample: Any) -> dict[str, Any]:
    """The sample's metadata; empty where it has none."""
    return sample.metadata if isinstance(sample.metadata, dict) else {}


def was_truncated(sample: Any) -> bool:
    """Whether slime's length limit ended the response."""
    status = getattr(sample, "status", None)
    return getattr(status, "value", status) == "truncated"
