"""slime's reward by CodeRM-NT: `--custom-rm-path reward.coderm_nt.reward`, or `.reward_group` with `--group-rm`.

A failed call is never a low reward. With `--custom-reward-post-process-path reward.post_process.normalize_groups` a
sample that cannot be scored abstains: it leaves the loss and its group's mean. Without it, it stops the run with
`RewardUnavailable`, as too many abstentions do in any case (`reward.failures`). Importing this module needs no torch,
opens nothing and reads no file; the first reward loads settings and tokenizer, off slime's event loop.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from coderm_slime.chat import last_user_turn
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, SettingsError, load_settings
from reward.failures import Failures, RewardUnavailable

__all__ = ["RewardUnavailable", "reward", "reward_group"]

_Key = tuple[asyncio.AbstractEventLoop, RmSettings, str | None, bool]


@dataclass(frozen=True)
class _Session:
    """What the samples of one event loop share."""

    scorer: Scorer
    failures: Failures


# slime runs every reward on one background loop, but evaluation scripts and tests make loops of their own, and a
# connection pool belongs to the loop that made it. Concurrent first rewards share one future; the generator behind it
# is kept because a loop that ends (`asyncio.run`) closes its generators, and this one closes the scorer.
_sessions: dict[_Key, tuple[AsyncGenerator[_Session, None], asyncio.Future[_Session]]] = {}


async def reward(args: Any, sample: Any) -> Any:
    """The reward of one sample, a float in [-clip, clip]; a list, however nested, gives a list of the same shape.

    The verdict behind the number is written to `sample.metadata["coderm"]`.

    Args:
        args: slime's arguments; settings come from `args.coderm` (see `coderm_slime.settings`).
        sample: slime's Sample, or a list of them: of it `prompt`, `response`, `status` and `metadata` are used, and
            `remove_sample` is set where it abstains.

    Raises:
        RewardUnavailable: no score where abstaining is not safe, or too many without one; with the reason.
        QuestionError, RenderError, SettingsError: the run is set up wrongly; the text says what to change.
    """
    if isinstance(sample, list | tuple):
        return await reward_group(args, sample)
    session = await _session_of_this_loop(args)
    metadata = sample.metadata if isinstance(sample.metadata, dict) else {}
    question = last_user_turn(sample.prompt, metadata, session.scorer.turns)
    verdict = await session.scorer.judge(
        question, sample.response, prompt=sample.prompt, truncated=_was_truncated(sample)
    )
    sample.metadata = {**metadata, "coderm": verdict.model_dump(mode="json")}
    value = session.failures.number_for(verdict)
    if verdict.score is None:
        sample.remove_sample = True
    return value


async def reward_group(args: Any, samples: Sequence[Any]) -> list[Any]:
    """The rewards of a group of samples, in order and at the same time. See `reward`."""
    return list(await asyncio.gather(*(reward(args, sample) for sample in samples)))


async def _session_of_this_loop(args: Any) -> _Session:
    settings = _with_servers(load_settings(args).rm, args)
    abstains = Failures.abstains(settings, args)
    key = (asyncio.get_running_loop(), settings, getattr(args, "hf_checkpoint", None), abstains)
    if key not in _sessions:
        for closed in [known for known in _sessions if known[0].is_closed()]:
            del _sessions[closed]
        lifetime = _open(*key[1:])
        opening = asyncio.ensure_future(anext(lifetime))
        opening.add_done_callback(partial(_forget_failure, key))
        _sessions[key] = (lifetime, opening)
    return await asyncio.shield(_sessions[key][1])  # a cancelled first sample must not cancel the session of others


def _forget_failure(key: _Key, opening: asyncio.Future[_Session]) -> None:
    """What could not be opened is tried again by the next sample: the folder may have been put right."""
    if opening.cancelled() or opening.exception() is not None:
        _sessions.pop(key, None)


async def _open(settings: RmSettings, policy_path: str | None, abstains: bool) -> AsyncGenerator[_Session, None]:
    async with await Scorer.create(settings, policy_path) as scorer:
        yield _Session(scorer, Failures(settings, abstains))


def _with_servers(settings: RmSettings, args: Any) -> RmSettings:
    """The address of the router that slime started for `model_name`.

    slime itself answers an unknown name with the policy's own router, so its presence is checked.
    """
    if settings.model_name is None:
        return settings
    routers = getattr(args, "sglang_model_routers", None) or {}
    if settings.model_name not in routers:
        raise SettingsError(
            f"coderm.rm.model_name={settings.model_name!r} is no model of slime's --sglang-config "
            f"(known: {', '.join(sorted(routers)) or 'none'})"
        )
    host, port = routers[settings.model_name]
    return settings.model_copy(update={"urls": (f"http://{host}:{port}",), "model_name": None})


def _was_truncated(sample: Any) -> bool:
    status = getattr(sample, "status", None)
    return getattr(status, "value", status) == "truncated"
