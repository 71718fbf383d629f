"""slime's reward by CodeRM-NT: `--custom-rm-path reward.coderm_nt.reward`, or `.reward_group` with `--group-rm`.

A failed call is never a low reward. With `--custom-reward-post-process-path reward.post_process.normalize_groups` a
sample that cannot be scored abstains: it leaves the loss and its group's mean. Without it, it stops the run with
`RewardUnavailable`, as too many abstentions do in any case (`reward.failures`). Importing this module needs no torch,
opens nothing and reads no file; the first reward loads settings and tokenizer, off slime's event loop.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from coderm_slime.chat import last_user_turn
from coderm_slime.records import Verdict
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, Settings, SettingsError, load_settings
from reward.failures import Failures, RewardUnavailable
from reward.samples import for_each, metadata_of, response_of, settle, was_truncated
from reward.sessions import Session, model_session

__all__ = ["RewardUnavailable", "reward", "reward_group"]


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
    settings = load_settings(args)
    session = await session_for(settings, args)
    return settle(sample, await verdict_on(sample, session.judge), session.failures)


async def reward_group(args: Any, samples: Sequence[Any]) -> list[Any]:
    """The rewards of a group of samples, in order and at the same time. See `reward`."""
    return await for_each(reward, args, samples)


async def session_for(settings: Settings, args: Any) -> Session[Scorer]:
    """The running loop's session with the reward model, for slime's `args`.

    Raises:
        SettingsError, RenderError: the run is set up wrongly.
    """
    rm = _with_servers(settings.rm, args)
    return await model_session(rm, getattr(args, "hf_checkpoint", None), Failures.abstains(rm, args))


async def verdict_on(sample: Any, scorer: Scorer) -> Verdict:
    """The reward model's verdict on one of slime's samples, which is left as it is.

    Raises:
        QuestionError: no question can be found in it.
    """
    question = last_user_turn(sample.prompt, metadata_of(sample), scorer.turns)
    return await scorer.judge(question, response_of(sample), prompt=sample.prompt, truncated=was_truncated(sample))


def _with_servers(settings: RmSettings, args: Any) -> RmSettings:
    """The address of the router that slime started for `model_name`.

    slime itself answers an unknown name with the policy's own router, so its presence is checked.
    """
    if settings.model_name is None:
        return settings
    routers = getattr(args, "sglang_model_routers", None) or {}
    if not isinstance(routers, Mapping):
        raise SettingsError(
            f"slime's args.sglang_model_routers is {routers!r:.80}, not a router for each model's name"
        )
    if settings.model_name not in routers:
        raise SettingsError(
            f"coderm.rm.model_name={settings.model_name!r} is no model of slime's --sglang-config "
            f"(known: {', '.join(sorted(routers)) or 'none'})"
        )
    if not routers[settings.model_name]:
        raise SettingsError(f"slime has no router for coderm.rm.model_name={settings.model_name!r}")
    host, port = routers[settings.model_name]
    return settings.model_copy(update={"urls": (f"http://{host}:{port}",), "model_name": None})
