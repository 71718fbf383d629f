"""What the samples of one event loop share: one scorer and one watch over failures, opened by the first of them.

slime's and TRL's rewards both judge through here. Knows nothing of either.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial

from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings
from reward.failures import Failures

_Key = tuple[asyncio.AbstractEventLoop, RmSettings, str | None, bool]


@dataclass(frozen=True)
class Session:
    """One event loop's scorer, and what becomes of the verdicts that have no score."""

    scorer: Scorer
    failures: Failures


# slime and TRL run every reward on one background loop, but evaluation scripts and tests make loops of their own, and
# a connection pool belongs to the loop that made it. Concurrent first rewards share one future; the generator behind
# it is kept because a loop that ends (`asyncio.run`) closes its generators, and this one closes the scorer.
_sessions: dict[_Key, tuple[AsyncGenerator[Session, None], asyncio.Future[Session]]] = {}


async def session_of_this_loop(settings: RmSettings, policy_path: str | None, abstains: bool) -> Session:
    """The running event loop's session for these settings; the first call opens it, off the loop.

    Args:
        policy_path: the policy's local folder, if `settings` name none.
        abstains: whether a sample without a score may abstain.

    Raises:
        SettingsError, RenderError, TurnsError, ProbeError: see `Scorer.create`. The next call tries again.
    """
    key = (asyncio.get_running_loop(), settings, policy_path, abstains)
    if key not in _sessions:
        for closed in [known for known in _sessions if known[0].is_closed()]:
            del _sessions[closed]
        lifetime = _open(*key[1:])
        opening = asyncio.ensure_future(anext(lifetime))
        opening.add_done_callback(partial(_forget_failure, key))
        _sessions[key] = (lifetime, opening)
    return await asyncio.shield(_sessions[key][1])  # a cancelled first sample must not cancel the session of others


def _forget_failure(key: _Key, opening: asyncio.Future[Session]) -> None:
    """What could not be opened is tried again by the next sample: the folder may have been put right."""
    if opening.cancelled() or opening.exception() is not None:
        _sessions.pop(key, None)


async def _open(settings: RmSettings, policy_path: str | None, abstains: bool) -> AsyncGenerator[Session, None]:
    async with await Scorer.create(settings, policy_path) as scorer:
        yield Session(scorer, Failures(settings, abstains))
