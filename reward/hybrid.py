"""slime's reward by model and tests together: `--custom-rm-path reward.hybrid.reward`, or `.reward_group`.

`coderm.hybrid.rule` says how: `gate`, `weights` or `threshold` (`coderm_slime.settings.HybridSettings`). What is not
needed is not asked: `gate` calls the model only for samples without tests, `threshold` only for answers that pass.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from coderm_slime.records import Outcome, Reason, Verdict
from coderm_slime.scoring.shaping import floor
from coderm_slime.settings import HybridSettings, Settings, load_settings
from reward import coderm_nt, unit_tests
from reward.failures import Failures, RewardUnavailable
from reward.samples import for_each, settle
from reward.sessions import PerLoop

__all__ = ["RewardUnavailable", "combined", "reward", "reward_group"]

_Ask = Callable[[], Awaitable[Verdict]]
_TELLING = (Outcome.ABSTAINED, Outcome.FLOOR, Outcome.SCORED)  # what a mean's reason is taken from, the first first


async def reward(args: Any, sample: Any) -> Any:
    """The reward of one sample, a float in [-clip, clip]; a list, however nested, gives a list of the same shape.

    The verdict is written to `sample.metadata["coderm"]`, and under its `metadata["parts"]` those that it was made of.

    Raises:
        RewardUnavailable, SandboxError, SettingsError, QuestionError: as in `coderm_nt` and `unit_tests`.
    """
    if isinstance(sample, list | tuple):
        return await reward_group(args, sample)
    settings = load_settings(args)

    async def by_model() -> Verdict:
        return await coderm_nt.verdict_on(sample, (await coderm_nt.session_for(settings, args)).judge)

    async def by_tests() -> Verdict:
        return await unit_tests.verdict_on(sample, (await unit_tests.session_for(settings, args)).judge)

    failures = await _failures.get(settings.hybrid, Failures.abstains(settings.hybrid, args))
    return settle(sample, await combined(settings, by_model, by_tests), failures)


async def reward_group(args: Any, samples: Sequence[Any]) -> list[Any]:
    """The rewards of a group of samples, in order and at the same time. See `reward`."""
    return await for_each(reward, args, samples)


async def combined(settings: Settings, by_model: _Ask, by_tests: _Ask) -> Verdict:
    """One verdict out of two by `settings.hybrid.rule`."""
    hybrid = settings.hybrid
    if hybrid.rule == "weights":
        model, tests = await asyncio.gather(by_model(), by_tests())
        return _weighted(settings, model, tests)
    tests = await by_tests()
    if hybrid.rule == "gate" and tests.reason is not Reason.NO_TESTS:
        return _made_of(tests, {"tests": tests})
    if hybrid.rule == "threshold":
        if tests.outcome is not Outcome.SCORED:
            return _made_of(tests, {"tests": tests})
        if (tests.passed or 0) < hybrid.pass_threshold * (tests.tests or 0):
            failed = tests.model_copy(update={"score": floor(settings.rm), "reason": Reason.FAILED_TESTS})
            return _made_of(failed, {"tests": tests})
    model = await by_model()
    return _made_of(model, {"rm": model, "tests": tests})


def _weighted(settings: Settings, model: Verdict, tests: Verdict) -> Verdict:
    """The weighted mean, under the reason of the side that has one to tell."""
    parts = {"rm": model, "tests": tests}
    telling = min(parts.values(), key=lambda verdict: _TELLING.index(verdict.outcome))
    if model.score is None or tests.score is None:
        return _made_of(telling, parts)
    weights = settings.hybrid.rm_weight, settings.hybrid.tests_weight
    score = (weights[0] * model.score + weights[1] * tests.score) / sum(weights)
    return _made_of(telling.model_copy(update={"score": score}), parts)


def _made_of(verdict: Verdict, parts: Mapping[str, Verdict]) -> Verdict:
    told = {name: part.model_dump(mode="json", exclude={"metadata"}) for name, part in parts.items()}
    latency_s = max(part.latency_s for part in parts.values())
    return verdict.model_copy(update={"metadata": {**verdict.metadata, "parts": told}, "latency_s": latency_s})


async def _open_failures(settings: HybridSettings, abstains: bool) -> AsyncGenerator[Failures, None]:
    yield Failures(settings, abstains)


_failures = PerLoop(_open_failures)
