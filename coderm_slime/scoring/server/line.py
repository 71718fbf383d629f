"""The line in which requests wait for the one thread that computes, and are put together into batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from coderm_slime.scoring.server.refusal import Refusal

logger = logging.getLogger(__name__)

MAX_WAITING_TOKENS = 200_000  # minutes of work for a CPU; more would only time out in the line


class Work(Protocol):
    """What a request asks for. `aborted` is set when nobody wants it any more, maybe while it is computed."""

    aborted: bool


W = TypeVar("W", bound=Work)
R = TypeVar("R")


@dataclass(eq=False)
class _Place(Generic[W, R]):
    work: W
    tokens: int
    done: "asyncio.Future[R]"


class Line(Generic[W, R]):
    """First come, first served, in steps of as many requests as fit `step_tokens`; a larger one goes alone.

    Args:
        run: computes a step's results, in order; called in the line's own thread. What is aborted may get any result.
    """

    def __init__(self, run: Callable[[Sequence[W]], Sequence[R]], step_tokens: int) -> None:
        self._run, self._step_tokens = run, step_tokens
        self._places: deque[_Place[W, R]] = deque()
        self._someone_waits = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="coderm-serve")
        self.waiting_tokens = 0

    async def submit(self, work: W, tokens: int) -> R:
        """The result of `work`, which costs `tokens`. Cancelling it aborts the work.

        Raises:
            Refusal: 503, too much is waiting already; 500, the model failed on it.
        """
        if self.waiting_tokens and self.waiting_tokens + tokens > MAX_WAITING_TOKENS:
            raise Refusal(503, f"{self.waiting_tokens} tokens are waiting")
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        place = _Place(work, tokens, done)
        self._places.append(place)
        self._someone_waits.set()
        self.waiting_tokens += tokens
        try:
            return await done
        finally:
            self.waiting_tokens -= tokens
            work.aborted = True

    async def serve(self) -> None:
        """Compute what waits, for ever."""
        try:
            while await self._someone_waits.wait():
                step = self._next_step()
                await self._compute(step)
                if not self._places:
                    self._someone_waits.clear()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def _next_step(self) -> list[_Place[W, R]]:
        step = [self._places.popleft()]
        tokens = step[0].tokens
        while self._places and tokens + self._places[0].tokens <= self._step_tokens:
            step.append(self._places.popleft())
            tokens += step[-1].tokens
        return step

    async def _compute(self, step: list[_Place[W, R]]) -> None:
        works = [place.work for place in step]
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._thread, self._run, works)
        except Exception as error:  # whatever a model fails with, the server goes on
            if len(step) > 1:  # one of them spoilt it for all
                for place in step:
                    await self._compute([place])
                return
            logger.error("the model failed: %s", error, exc_info=error)
            if not step[0].done.done():
                step[0].done.set_exception(Refusal(500, f"the model failed: {type(error).__name__}: {error}"))
            return
        for place, result in zip(step, results, strict=True):
            if not place.done.done():
                place.done.set_result(result)
