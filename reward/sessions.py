"""What the samples of one event loop share: who judges them, and one watch over failures; opened by the first of them.

slime's and TRL's rewards all judge through here. Knows nothing of either.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings
from reward.failures import Failures

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
class Session:
    """One event loop's scorer, and what becomes of the verdicts that have no score."""

    scorer: Scorer
    failures: Failures


async def _open_session(
    settings: RmSettings, policy_path: str | None, abstains: bool
) -> AsyncGenerator[Session, None]:
    async with await Scorer.create(settings, policy_path) as scorer:
        yield Session(scorer, Failures(settings, abstains))


_sessions = PerLoop(_open_session)


async def session_of_this_loop(settings: RmSettings, policy_path: str | None, abstains: bool) -> Session:
    """The running event loop's session for these settings; the first call opens it, off the loop.

    Args:
        policy_path: the policy's local folder, if `settings` name none.
        abstains: whether a sample without a score may abstain.

    Raises:
        SettingsError, RenderError, TurnsError, ProbeError: see `Scorer.create`. The next call tries again.
    """
    return await _sessions.get(settings, policy_path, abstains)
