"""What every reward function does with one of slime's samples: read it, write the verdict into it, give the number."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from coderm_slime.records import Verdict
from reward.failures import Failures, RewardUnavailable


async def for_each(reward: Callable[[Any, Any], Awaitable[Any]], args: Any, samples: Sequence[Any]) -> list[Any]:
    """The rewards of samples, in order and at the same time; a list among them gives a list."""
    return list(await asyncio.gather(*(reward(args, sample) for sample in samples)))


def settle(sample: Any, verdict: Verdict, failures: Failures) -> float:
    """Write the verdict to `sample.metadata["coderm"]` and return its reward; an abstention leaves the loss.

    Raises:
        RewardUnavailable: it has none and may not abstain, or too many of the last ones have none.
    """
    metadata = metadata_of(sample)
    if abstains(metadata):  # scored anew: what took it out of the loss is no longer so
        sample.remove_sample = False
    sample.metadata = {**metadata, "coderm": verdict.model_dump(mode="json")}
    score = failures.score_of(verdict)
    if score is None:
        sample.remove_sample = True
        return 0.0  # slime needs a number; `normalize_groups` leaves it out
    return score


def abstains(metadata: Mapping[str, Any]) -> bool:
    """Whether a verdict stands there and has no score."""
    verdict = metadata.get("coderm")
    return isinstance(verdict, dict) and verdict.get("score") is None


def response_of(sample: Any) -> str:
    """The sample's response.

    Raises:
        RewardUnavailable: it is no text, as with a rollout function that never set it.
    """
    if not isinstance(sample.response, str):
        raise RewardUnavailable(f"sample.response is {sample.response!r:.80}, not the policy's text: nothing to judge")
    return sample.response


def metadata_of(sample: Any) -> dict[str, Any]:
    """The sample's metadata; empty where it has none."""
    return sample.metadata if isinstance(sample.metadata, dict) else {}


def was_truncated(sample: Any) -> bool:
    """Whether slime's length limit ended the response."""
    status = getattr(sample, "status", None)
    return getattr(status, "value", status) == "truncated"
