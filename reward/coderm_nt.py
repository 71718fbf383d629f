"""slime's reward by CodeRM-NT: `--custom-rm-path reward.coderm_nt.reward`, or `.reward_group` with `--group-rm`.

A sample that cannot be scored stops the run with `RewardUnavailable`: a failed call is never a low reward. (Taking
such a sample out of the loss instead needs `reward.post_process`, which is not here yet.) Importing this module needs
no torch, opens nothing and reads no file; the first reward loads settings and tokenizer, off slime's event loop.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from coderm_slime.chat import last_user_turn
from coderm_slime.errors import CodermError
from coderm_slime.records import REASONS, Verdict
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, load_settings

_Key = tuple[asyncio.AbstractEventLoop, RmSettings]
# slime runs every reward on one background loop, but evaluation scripts and tests make loops of their own, and a
# connection pool belongs to the loop that made it. Concurrent first rewards share one future; the generator behind it
# is kept because a loop that ends (`asyncio.run`) closes its generators, and this one closes the scorer.
_scorers: dict[_Key, tuple[AsyncGenerator[Scorer, None], asyncio.Future[Scorer]]] = {}


class RewardUnavailable(CodermError):
    """A sample could not be scored. Raised into slime's rollout, which it ends."""


async def reward(args: Any, sample: Any) -> Any:
    """The reward of one sample in [-clip, clip]; a list, however nested, gives a list of the same shape.

    The verdict behind the number is written to `sample.metadata["coderm"]`.

    Args:
        args: slime's arguments; settings come from `args.coderm` (see `coderm_slime.settings`).
        sample: slime's Sample, or a list of them: of it `prompt`, `response` and `metadata` are used.

    Raises:
        RewardUnavailable: no score, with the reason.
        QuestionError, RenderError, SettingsError: the run is set up wrongly; the text says what to change.
    """
    if isinstance(sample, list | tuple):
        return await reward_group(args, sample)
    scorer = await _scorer_of_this_loop(args)
    metadata = sample.metadata if isinstance(sample.metadata, dict) else {}
    question = last_user_turn(sample.prompt, metadata)
    verdict = await scorer.judge(question, sample.response, prompt=sample.prompt)
    sample.metadata = {**metadata, "coderm": verdict.model_dump(mode="json")}
    return _number(verdict)


async def reward_group(args: Any, samples: Sequence[Any]) -> list[Any]:
    """The rewards of a group of samples, in order and at the same time. See `reward`."""
    return list(await asyncio.gather(*(reward(args, sample) for sample in samples)))


async def _scorer_of_this_loop(args: Any) -> Scorer:
    key = (asyncio.get_running_loop(), load_settings(args).rm)
    if key not in _scorers:
        for closed in [known for known in _scorers if known[0].is_closed()]:
            del _scorers[closed]
        lifetime = _open(key[1])
        opening = asyncio.ensure_future(anext(lifetime))
        opening.add_done_callback(partial(_forget_failure, key))
        _scorers[key] = (lifetime, opening)
    return await asyncio.shield(_scorers[key][1])  # a cancelled first sample must not cancel the scorer of all others


def _forget_failure(key: _Key, opening: asyncio.Future[Scorer]) -> None:
    """What could not be opened is tried again by the next sample: the folder may have been put right."""
    if opening.cancelled() or opening.exception() is not None:
        _scorers.pop(key, None)


async def _open(settings: RmSettings) -> AsyncGenerator[Scorer, None]:
    async with await Scorer.create(settings) as scorer:
        yield scorer


def _number(verdict: Verdict) -> float:
    if verdict.score is None:
        raise RewardUnavailable(
            f"a sample could not be scored ({verdict.reason.value}): {verdict.detail}. "
            f"{REASONS[verdict.reason].remedy}"
        )
    return verdict.score
