"""Requests under way: given up when the client leaves, aborted by name, counted for `/metrics`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from fastapi import Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from coderm_slime.scoring.server.line import Line, R, W, Work
from coderm_slime.scoring.server.refusal import Refusal

T = TypeVar("T")
_CLIENT_LEFT = 499  # nobody reads it; the word is nginx's


class Metrics:
    """What `/metrics` shows, in Prometheus' form. The names are ours: a dashboard must not take us for SGLang."""

    def __init__(self, waiting_tokens: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "coderm_standin_requests", "Requests by path and status.", ["path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "coderm_standin_request_seconds", "Seconds a request took.", ["path"], registry=self.registry
        )
        self.tokens = Counter("coderm_standin_tokens", "Tokens by kind.", ["kind"], registry=self.registry)
        waiting = Gauge("coderm_standin_waiting_tokens", "Tokens not answered yet.", registry=self.registry)
        waiting.set_function(waiting_tokens)

    def saw(self, path: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)


class UnderWay:
    """The works whose clients wait, by request id."""

    def __init__(self) -> None:
        self._works: dict[str, list[Work]] = {}

    async def result(self, request: Request, line: Line[W, R], work: W, tokens: int, rid: str) -> R:
        """`line`'s result of `work`, computed only while the client of `request` is there.

        Raises:
            Refusal: see `Line.submit`.
        """
        self._works.setdefault(rid, []).append(work)
        try:
            return await _while_connected(request, line.submit(work, tokens))
        finally:
            self._works[rid].remove(work)
            if not self._works[rid]:
                del self._works[rid]

    def abort(self, rid: str | None) -> None:
        """Abort the requests of this id, all for None."""
        for name, works in self._works.items():
            if rid in (None, name):
                for work in works:
                    work.aborted = True


async def _while_connected(request: Request, work: Awaitable[T]) -> T:
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Refusal(_CLIENT_LEFT, "the client left")
        return task.result()
    finally:
        for future in (task, gone):
            future.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
