"""The one HTTP client: pooled connections, a deadline over all attempts, a retry predicate. Knows not what it carries.

One `HttpClient` belongs to one event loop. It is built on aiohttp, which costs 0.2 ms of CPU a request at 128 in
flight. A call goes to the server with the most of its slots free; one that failed rests for a while, and the call goes
on with the next, at once where another one is well.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, wait_random_exponential

from coderm_slime.errors import CodermError

T = TypeVar("T")
FailureKind = Literal["timeout", "unreachable", "server_error", "rejected", "bad_reply", "wrong_model"]

_BUSY_STATUS = 429
_WRONG_ADDRESS_OR_KEY = {401, 403, 404, 405}  # refused whatever is asked: the server is at fault, not the input
# A restarting server needs seconds, so the waits grow that far; jitter keeps a rollout's calls apart.
_backoff = wait_random_exponential(multiplier=0.2, max=5.0)
_FIRST_REST_S, _LONGEST_REST_S = 0.2, 5.0
_LONGEST_ASKED_REST_S = 60.0  # a Retry-After beyond this would outlive every deadline
_BODY_SHOWN_CHARS = 200
_LONGEST_REPLY_BYTES = 2**26  # far more than any reply that is asked for; a server gone mad must not fill the memory


class HttpError(CodermError):
    """A call that got no usable reply. `kind` says how, the text says where and what came back.

    Attributes:
        retry_after_s: seconds that the server asked to be left alone; 0 if it did not say.
        by_input: whether this one input is at fault rather than the server, which then need not rest; of what was
            `rejected` it is taken unless said otherwise. (A server that fails fast has little to do, and would draw
            every call if it did not rest.)
        status: of the reply, where there was one.
    """

    def __init__(
        self,
        kind: FailureKind,
        url: str,
        detail: str,
        retry_after_s: float = 0.0,
        *,
        by_input: bool | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(f"{kind} at {url}: {detail}")
        self.kind: FailureKind = kind
        self.retry_after_s = retry_after_s
        self.by_input = kind == "rejected" if by_input is None else by_input
        self.status = status


class Server:
    """One server: its base address, its bound, and how it has been doing.

    Args:
        url: base address; a call adds the path.
        max_in_flight: requests to it at the same time; further calls wait, within their deadline.
        bearer: token for the Authorization header, or None.
    """

    def __init__(self, url: str, max_in_flight: int, bearer: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {bearer.strip()}"} if bearer else {}
        self.slots = asyncio.Semaphore(max_in_flight)
        self.max_in_flight = max_in_flight
        self.in_flight = 0
        self.calls = 0
        self.rests_until = 0.0
        self.failure: HttpError | None = None  # what it rests for, until it does well again
        self._rest_s = _FIRST_REST_S

    def did_well(self) -> None:
        """The server answered: the next failure is its first again."""
        self._rest_s = _FIRST_REST_S
        self.failure = None

    def failed(self, failure: HttpError) -> None:
        """Let it rest: as long as it asked, else longer after each failure. A burst of failures counts as one."""
        now = time.monotonic()
        if now < self.rests_until:
            return
        self.failure = failure
        rest_s = min(failure.retry_after_s, _LONGEST_ASKED_REST_S) or self._rest_s * random.uniform(0.75, 1.25)
        self.rests_until = now + rest_s
        self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S)


class HttpClient:
    """Posts JSON and reads JSON. Use as `async with HttpClient(...) as client`, or call `close`.

    Args:
        attempts: requests per call at most.
        attempt_s: seconds for one request, so that a server that hangs leaves time for the next one.

    Attributes:
        counts: requests sent, and failed attempts by kind.
    """

    def __init__(self, *, attempts: int, attempt_s: float) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # each server's own slots bound
            timeout=aiohttp.ClientTimeout(total=attempt_s),
        )
        self._attempts = attempts
        self.counts: Counter[str] = Counter()

    async def __aenter__(self) -> "HttpClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._session.close()

    async def call(self, servers: Sequence[Server], attempt: Callable[[Server], Awaitable[T]], deadline_s: float) -> T:
        """Run `attempt` on one server after another until it succeeds, and return its result.

        Args:
            attempt: one try, as a rule `request`; raises HttpError.
            deadline_s: seconds for all attempts, waits and back-off included.

        Raises:
            HttpError: no usable reply within the deadline and the attempts; the last attempt's failure.
        """
        failure: HttpError | None = None
        server = _choose(servers)

        async def attempt_all() -> T:
            nonlocal failure, server
            retrying = AsyncRetrying(
                stop=stop_after_attempt(self._attempts),
                wait=lambda state: _wait_s(state, servers),
                retry=lambda state: _may_pass(state, servers),
                reraise=True,
            )
            async for turn in retrying:
                with turn:
                    server = _choose(servers)
                    rest_s = server.rests_until - time.monotonic()
                    if rest_s > 0:  # giving way here for nothing would let a burst's calls all choose one server
                        await asyncio.sleep(rest_s)
                    try:
                        return await self._watched(server, attempt)
                    except HttpError as error:
                        failure = error
                        raise
            raise AssertionError("tenacity returns or raises")

        try:
            return await asyncio.wait_for(attempt_all(), deadline_s)
        except asyncio.TimeoutError:
            raise too_late(server, deadline_s, failure) from None

    async def _watched(self, server: Server, attempt: Callable[[Server], Awaitable[T]]) -> T:
        server.in_flight += 1
        server.calls += 1
        try:
            result = await attempt(server)
        except HttpError as error:
            self.counts[error.kind] += 1
            if not error.by_input:
                server.failed(error)
            raise
        finally:
            server.in_flight -= 1
        server.did_well()
        return result

    async def request(self, server: Server, method: str, path: str, body: Any, parse: Callable[[Any], T]) -> T:
        """One request to one server, in one of its slots.

        Args:
            body: sent as JSON; None sends none.
            parse: raises ValueError, TypeError or LookupError where the reply is not what was asked for.

        Raises:
            HttpError: of every kind but `wrong_model`.
        """
        url = server.url + path
        async with server.slots:
            self.counts["requests"] += 1
            try:
                async with self._session.request(method, url, json=body, headers=server.headers) as response:
                    payload = await _read(response)
            except asyncio.TimeoutError:
                raise HttpError("timeout", url, f"no reply within {self._session.timeout.total} s") from None
            except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an address that no request fits
                raise HttpError("unreachable", url, f"{type(error).__name__}: {error}") from error
        if payload is None:
            raise HttpError("bad_reply", url, f"a reply of more than {_LONGEST_REPLY_BYTES} bytes")
        if response.status != 200:
            busy = response.status >= 500 or response.status == _BUSY_STATUS
            detail = f"HTTP {response.status} {_shown(payload)}"
            kind: FailureKind = "server_error" if busy else "rejected"
            by_input = not busy and response.status not in _WRONG_ADDRESS_OR_KEY
            raise HttpError(kind, url, detail, _retry_after_s(response), by_input=by_input, status=response.status)
        try:
            return parse(json.loads(payload))
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            raise HttpError("bad_reply", url, f"{type(error).__name__}: {error}: {_shown(payload)}") from error


def too_late(server: Server, deadline_s: float, failure: HttpError | None) -> HttpError:
    """The error for a deadline that ended, of the kind that used the time up.

    Args:
        failure: of the call's own last attempt; without one, what the server rests for counts.
    """
    failure = failure or server.failure
    if failure is None:
        return HttpError("timeout", server.url, f"no reply within {deadline_s:.3g} s")
    return HttpError(
        failure.kind, server.url, f"no usable reply within {deadline_s:.3g} s, the last failure: {failure}"
    )


def _choose(servers: Sequence[Server]) -> Server:
    """The well server with the most of its slots free; where none is well, the one whose rest ends first."""
    now = time.monotonic()

    def rank(server: Server) -> tuple[float, float, int]:
        return max(server.rests_until - now, 0.0), server.in_flight / server.max_in_flight, server.calls

    return min(servers, key=rank)


def _may_pass(state: RetryCallState, servers: Sequence[Server]) -> bool:
    """Whether another attempt is worth it: never what a server refused (4xx), unless another one may not."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, HttpError) and error.kind == "rejected":
        return not error.by_input and state.attempt_number < len(servers)
    return isinstance(error, HttpError)


def _wait_s(state: RetryCallState, servers: Sequence[Server]) -> float:
    """No wait before another server is tried. What a failing server needs is its rest, which `call` waits for."""
    error = state.outcome.exception() if state.outcome else None
    by_input = isinstance(error, HttpError) and error.by_input
    return _backoff(state) if by_input and state.attempt_number >= len(servers) else 0.0


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body; None where it is too long to be one."""
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > _LONGEST_REPLY_BYTES:
            return None
    return b"".join(pieces)


def _retry_after_s(response: aiohttp.ClientResponse) -> float:
    """The header's seconds; its other form, a date, is read as 'did not say'."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0


def _shown(payload: bytes) -> str:
    text = payload[:_BODY_SHOWN_CHARS].decode("utf-8", "replace")
    return text + ("…" if len(payload) > _BODY_SHOWN_CHARS else "")
