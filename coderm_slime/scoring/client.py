"""The reward model's client: token ids in, raw logits out.

Concurrent calls are merged into batched requests; identical inputs are scored once and kept in a bounded cache; every
server is checked by known inputs before it is believed (`scoring.probe`). One client belongs to one event loop.
"""

import asyncio
import time
from array import array
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from coderm_slime.http import HttpClient, HttpError, Server, too_late
from coderm_slime.scoring.probe import Probe
from coderm_slime.scoring.protocol import body_for, logits_in

# A request of this size keeps a GPU busy for tens of ms, and what is lost when it fails is little.
MAX_BATCH_ITEMS = 16
MAX_BATCH_TOKENS = 16_384
# How long the first call of a batch waits for others; a rollout's samples come in bursts closer than this.
_GATHER_S = 0.004
# A call joins one under way for the same input only if that will go on for this part of its own time.
_LEAST_SHARED = 0.75
# After this long without a reply a server is checked anew: training runs between two rollouts, and a frozen model that
# shares its GPUs may not be what it was. The known inputs that ride along with every request cover the time between.
_QUIET_S = 10.0
# The paths under which servers and sglang-router say what they are; many say it under only one.
_INFO_PATHS = ("/model_info", "/get_model_info")
# What does not say in this time does not say: its scores of the known inputs have to do.
_INFO_S = 2.0


@dataclass(eq=False)
class _Item:
    ids: list[int]
    score: asyncio.Future[float]
    deadline: float
    failure: HttpError | None = None  # of the last attempt, for a caller whose deadline ends between two


class RewardModel:
    """Scores token-id sequences with the model behind `servers`. Build it inside the event loop it will serve.

    Args:
        probe: two inputs of known score.
        endpoint: `/v1/embeddings` or `/classify`.
        cache_items: scores kept for inputs that come again.

    Attributes:
        counts: inputs, those that were known already (`cached`) or under way (`joined`), and batches sent.
    """

    def __init__(
        self,
        http: HttpClient,
        servers: Sequence[Server],
        probe: Probe,
        *,
        endpoint: str = "/v1/embeddings",
        cache_items: int = 4096,
    ) -> None:
        if not servers:
            raise ValueError("no reward model server is named: set coderm.rm.urls (or CODERM_RM__URLS)")
        self._http, self._servers, self._probe, self._endpoint = http, servers, probe, endpoint
        self._cache: OrderedDict[bytes, float] = OrderedDict()
        self._cache_items = cache_items
        self._under_way: dict[bytes, _Item] = {}
        self._gathered: list[_Item] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._checks: dict[Server, asyncio.Task[None]] = {}
        self._heard: dict[Server, float] = {}
        self.counts: Counter[str] = Counter()

    async def close(self) -> None:
        """Drop what is under way."""
        if self._timer:
            self._timer.cancel()
        tasks = [*self._tasks, *self._checks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def score(self, ids: Sequence[int], deadline_s: float) -> float:
        """The raw logit of one sequence, within `deadline_s` seconds.

        Raises:
            ValueError: the sequence is empty; sent, it would kill an SGLang server.
            HttpError: no server gave a score that can be trusted; `kind` says why.
        """
        if not ids:
            raise ValueError("an empty token sequence cannot be scored")
        self.counts["inputs"] += 1
        key = array("q", ids).tobytes()
        if key in self._cache:
            self.counts["cached"] += 1
            self._cache.move_to_end(key)
            return self._cache[key]
        item = self._under_way.get(key)
        if item is not None and item.deadline > time.monotonic() + _LEAST_SHARED * deadline_s:
            self.counts["joined"] += 1
        else:
            item = self._under_way[key] = self._enqueue(list(ids), deadline_s)
            item.score.add_done_callback(partial(self._finished, key, item))
        try:
            return await asyncio.wait_for(asyncio.shield(item.score), deadline_s)
        except asyncio.TimeoutError:
            raise too_late(self._servers[0], deadline_s, item.failure) from None

    def _finished(self, key: bytes, item: _Item, done: asyncio.Future[float]) -> None:
        if self._under_way.get(key) is item:
            del self._under_way[key]
        if not done.cancelled() and done.exception() is None and self._cache_items:
            self._cache[key] = done.result()
            if len(self._cache) > self._cache_items:
                self._cache.popitem(last=False)

    def _enqueue(self, ids: list[int], deadline_s: float) -> _Item:
        loop = asyncio.get_running_loop()
        if self._gathered and sum(len(item.ids) for item in self._gathered) + len(ids) > MAX_BATCH_TOKENS:
            self._flush()
        item = _Item(ids, loop.create_future(), time.monotonic() + deadline_s)
        self._gathered.append(item)
        if len(self._gathered) == MAX_BATCH_ITEMS:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(_GATHER_S, self._flush)
        return item

    def _flush(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._gathered:
            self._start(self._gathered)
            self._gathered = []

    def _start(self, items: list[_Item]) -> None:
        task = asyncio.ensure_future(self._send(items))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, items: list[_Item]) -> None:
        """Score a batch; what spoils it for others is asked again by itself."""
        self.counts["batches"] += 1
        deadline_s = max(item.deadline for item in items) - time.monotonic()
        try:
            logits = await self._http.call(self._servers, lambda server: self._attempt(items, server), deadline_s)
        except HttpError as error:
            if error.kind == "rejected" and len(items) > 1:
                logits = [None] * len(items)
            else:
                for item in items:
                    _fail(item, error)
                return
        except asyncio.CancelledError:
            for item in items:
                item.score.cancel()
            raise
        for item, logit in zip(items, logits, strict=True):
            if logit is None:
                self._start([item])
            elif not item.score.done():
                item.score.set_result(logit)

    async def _attempt(self, items: list[_Item], server: Server) -> list[float | None]:
        try:
            return await self._ask([item.ids for item in items], server)
        except HttpError as error:
            for item in items:
                item.failure = error
            raise

    async def _ask(self, batch: list[list[int]], server: Server) -> list[float | None]:
        """One request, with the known inputs riding along; believed only if the server's check holds, too."""
        check = self._check_of(server)
        asking = self._request(server, [*batch, *map(list, self._probe.inputs)])
        reply, verdict = await asyncio.gather(asking, asyncio.shield(check), return_exceptions=True)
        if isinstance(verdict, BaseException):  # first: it says why a request was refused
            raise verdict
        if isinstance(reply, HttpError) and reply.kind == "rejected":
            self._checks.pop(server, None)  # asked anew, it tells whether the server refuses known inputs, too
        if isinstance(reply, BaseException):
            raise reply
        *logits, first, second = reply
        if fault := self._probe.fault_in([first, second]):
            self._checks.pop(server, None)
            raise HttpError("wrong_model", server.url, fault)
        self._heard[server] = time.monotonic()
        if logits == [None]:
            raise HttpError("bad_reply", server.url, "the score is not a finite number", by_input=True)
        return logits

    async def _request(self, server: Server, batch: list[list[int]]) -> list[float | None]:
        def parse(reply: Any) -> list[float | None]:
            return logits_in(self._endpoint, reply, len(batch))

        return await self._http.request(server, "POST", self._endpoint, body_for(self._endpoint, batch), parse)

    def _check_of(self, server: Server) -> asyncio.Task[None]:
        """The server's check, begun anew if there is none, it failed, or the server was not heard of for a while."""
        check = self._checks.get(server)
        stale = time.monotonic() - self._heard.get(server, 0.0) > _QUIET_S
        if check is None or (check.done() and (stale or check.cancelled() or check.exception() is not None)):
            check = self._checks[server] = asyncio.ensure_future(self._check(server))
            check.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, even if nobody waits
        return check

    async def _check(self, server: Server) -> None:
        """Ask what the server is, and for the known inputs.

        Raises:
            HttpError: `wrong_model`, or how the server failed to answer.
        """
        self.counts["checks"] += 1
        kinds = asyncio.wait_for(asyncio.gather(*(self._is_generation(server, path) for path in _INFO_PATHS)), _INFO_S)
        scores = self._request(server, [list(ids) for ids in self._probe.inputs])
        generation, reply = await asyncio.gather(kinds, scores, return_exceptions=True)
        if not isinstance(generation, BaseException) and True in generation:
            raise HttpError("wrong_model", server.url, "it serves a language model, not a reward model")
        if isinstance(reply, HttpError) and reply.kind == "rejected":  # a known input: the server is at fault
            raise HttpError("rejected", server.url, f"a known input is refused: {reply}", by_input=False)
        if isinstance(reply, BaseException):
            raise reply
        if fault := self._probe.fault_in(reply):
            raise HttpError("wrong_model", server.url, fault)
        self._heard[server] = time.monotonic()

    async def _is_generation(self, server: Server, path: str) -> bool | None:
        """Whether the server says that it generates text; None where it does not say."""
        try:
            return await self._http.request(server, "GET", path, None, lambda info: bool(info["is_generation"]))
        except HttpError:
            return None


def _fail(item: _Item, error: HttpError) -> None:
    if not item.score.done():
        item.score.set_exception(error)
        item.score.exception()  # seen: its caller may have left at its own deadline
