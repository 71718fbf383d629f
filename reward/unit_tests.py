"""slime's reward by a data set's own unit tests: `--custom-rm-path reward.unit_tests.reward`, or `.reward_group`.

The tests stand in the sample's `label` or metadata; `coderm_slime.problems.suite_of_row` says in what forms. They run
in the sandbox, in another process than the answer, which can neither see them nor write their report. The part f of
tests passed becomes clip * (2f - 1), on the same scale as the reward model's score and with the same reasons; a sample
whose tests cannot be run abstains or stops the run, as in `reward.coderm_nt`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from coderm_slime.records import Verdict
from coderm_slime.settings import Settings, load_settings
from reward.failures import Failures, RewardUnavailable
from reward.samples import for_each, metadata_of, response_of, settle, was_truncated
from reward.sessions import Session, tests_session

if TYPE_CHECKING:
    from reward.judging import UnitTestJudge

__all__ = ["RewardUnavailable", "reward", "reward_group"]


async def reward(args: Any, sample: Any) -> Any:
    """The reward of one sample, a float in [-clip, clip]; a list, however nested, gives a list of the same shape.

    Args:
        args: slime's arguments; settings come from `args.coderm`: `tests`, `sandbox` and, for the scale, `rm`.
        sample: slime's Sample: of it `prompt`, `response`, `status`, `label` and `metadata` are used; the verdict is
            written to `metadata["coderm"]`, and `remove_sample` is set where it abstains.

    Raises:
        RewardUnavailable: no score where abstaining is not safe, or too many without one; with the reason.
        SandboxError, SettingsError: the machine or the run is set up wrongly; the text says what to change.
    """
    if isinstance(sample, list | tuple):
        return await reward_group(args, sample)
    session = await session_for(load_settings(args), args)
    return settle(sample, await verdict_on(sample, session.judge), session.failures)


async def reward_group(args: Any, samples: Sequence[Any]) -> list[Any]:
    """The rewards of a group of samples, in order and at the same time. See `reward`."""
    return await for_each(reward, args, samples)


async def session_for(settings: Settings, args: Any) -> "Session[UnitTestJudge]":
    """The running loop's session with the sandbox, for slime's `args`.

    Raises:
        SandboxError, SettingsError: see `reward`.
    """
    return await tests_session(settings, getattr(args, "hf_checkpoint", None), Failures.abstains(settings.tests, args))


async def verdict_on(sample: Any, judge: "UnitTestJudge") -> Verdict:
    """The tests' verdict on one of slime's samples, which is left as it is."""
    from reward.judging import Answered

    row = {"label": getattr(sample, "label", None), **metadata_of(sample)}
    return await judge.judge(Answered(response_of(sample), row, sample.prompt, was_truncated(sample)))
