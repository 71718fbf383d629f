"""What the samples of one event loop share: who judges them, and one watch over failures; opened by the first of them.

slime's and TRL's rewards all judge through here. Knows nothing of either.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from coderm_slime.chat import Turns, learn_turns
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, Settings, SettingsError
from reward.failures import Failures

if TYPE_CHECKING:
    from reward.judging import UnitTestJudge

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One T for each running event loop and each set of arguments, opened by the first that asks for it.

    slime and TRL run every reward on one background loop, but evaluation scripts and tests make loops of their own,
    and connections and child processes belong to the loop that made them.

    Args:
        lifetime: an async generator that yields the T once and then closes it. It is kept because a loop that ends
            (`asyncio.run`) closes its generators.
    """

    def __init__(self, lifetime: Callable[..., AsyncGenerator[T, None]]) -> None:
        self._lifetime = lifetime
        self._open: dict[tuple[Any, ...], tuple[AsyncGenerator[T, None], asyncio.Future[T]]] = {}

    async def get(self, *arguments: object) -> T:
        """The running loop's T for these arguments, which are hashable. Concurrent first calls share one opening.

        Raises:
            whatever opening it raises; the next call tries again.
        """
        key = (asyncio.get_running_loop(), *arguments)
        if key not in self._open:
            for closed in [known for known in self._open if known[0].is_closed()]:
                del self._open[closed]
            lifetime = self._lifetime(*arguments)
            opening = asyncio.ensure_future(anext(lifetime))
            opening.add_done_callback(partial(self._forget_failure, key))
            self._open[key] = (lifetime, opening)
        return await asyncio.shield(self._open[key][1])  # a cancelled first sample must not cancel that of others

    def _forget_failure(self, key: tuple[Any, ...], opening: asyncio.Future[T]) -> None:
        """What could not be opened is tried again by the next sample: the folder may have been put right."""
        if opening.cancelled() or opening.exception() is not None:
            self._open.pop(key, None)


@dataclass(frozen=True)
class Session(Generic[T]):
    """One event loop's judge, and what becomes of the verdicts that have no score."""

    judge: T
    failures: Failures


async def _with_model(
    settings: RmSettings, policy_path: str | None, abstains: bool
) -> AsyncGenerator[Session[Scorer], None]:
    async with await Scorer.create(settings, policy_path) as scorer:
        yield Session(scorer, Failures(settings, abstains))


async def _with_tests(
    settings: Settings, policy_path: str | None, abstains: bool
) -> AsyncGenerator[Session["UnitTestJudge"], None]:
    from coderm_slime.sandbox import Sandbox  # the reward model's users need none
    from reward.judging import UnitTestJudge

    if settings.sandbox.backend != "local":
        raise SettingsError(
            f"coderm.sandbox.backend={settings.sandbox.backend!r} runs single programs; unit tests run as two that "
            "talk to each other, which needs 'local'"
        )
    policy = settings.tests.policy_path or policy_path
    turns = await asyncio.to_thread(learn_turns, policy) if policy else _NO_MARKS
    async with Sandbox(settings.sandbox) as sandbox:
        judge = UnitTestJudge(settings, sandbox, turns)
        try:
            yield Session(judge, Failures(settings.tests, abstains))
        finally:
            judge.close()


_NO_MARKS = Turns(user_opens="", user_closes="", user_follows="", control_tokens=())
_model_sessions, _test_sessions = PerLoop(_with_model), PerLoop(_with_tests)


async def model_session(settings: RmSettings, policy_path: str | None, abstains: bool) -> Session[Scorer]:
    """The running event loop's session with the reward model; the first call opens it, off the loop.

    Args:
        policy_path: the policy's local folder, if `settings` name none.
        abstains: whether a sample without a score may abstain.

    Raises:
        SettingsError, RenderError, TurnsError, ProbeError: see `Scorer.create`. The next call tries again.
    """
    return await _model_sessions.get(settings, policy_path, abstains)


async def tests_session(settings: Settings, policy_path: str | None, abstains: bool) -> Session["UnitTestJudge"]:
    """The running event loop's session with the sandbox; the first call opens it.

    Raises:
        SettingsError: another backend of the sandbox than the local one.
        SandboxError: this machine lacks a layer of isolation that is required.
        RenderError, TurnsError: the policy's chat template cannot be used.
    """
    return await _test_sessions.get(settings, policy_path, abstains)
