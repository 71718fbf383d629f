"""The one HTTP client: pooled connections, a deadline over all attempts, a retry predicate. Knows not what it carries.

One `HttpClient` belongs to one event loop. It is built on aiohttp, which costs 0.2 ms of CPU a request at 128 in
flight.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from coderm_slime.errors import CodermError

T = TypeVar("T")
FailureKind = Literal["timeout", "unreachable", "server_error", "rejected", "bad_reply"]

_BUSY_STATUS = 429
# A restarting server needs seconds, so the waits grow that far; jitter keeps a rollout's calls apart.
_backoff = wait_random_exponential(multiplier=0.2, max=5.0)
_BODY_SHOWN_CHARS = 200


class HttpError(CodermError):
    """A call that got no usable reply. `kind` says how, the text says where and what came back.

    Attributes:
        retry_after_s: seconds that the server asked to be left alone; 0 if it did not say.
    """

    def __init__(self, kind: FailureKind, url: str, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{kind} at {url}: {detail}")
        self.kind: FailureKind = kind
        self.retry_after_s = retry_after_s


class HttpClient:
    """Posts JSON and reads JSON. Use as `async with HttpClient(...) as client`, or call `close`.

    Args:
        max_in_flight: requests at the same time, over all servers; further calls wait, within their deadline.
        attempts: requests per call at most; attempt k goes to url k modulo their number, from a start that rotates.
        attempt_s: seconds for one request, so that a server that hangs leaves time for the next one.
        bearer: token for the Authorization header, or None.
    """

    def __init__(self, *, max_in_flight: int, attempts: int, attempt_s: float, bearer: str | None = None) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the semaphore below bounds
            timeout=aiohttp.ClientTimeout(total=attempt_s),
            headers={"Authorization": f"Bearer {bearer.strip()}"} if bearer else None,
        )
        self._slots = asyncio.Semaphore(max_in_flight)
        self._attempts = attempts
        self._next_start = 0

    async def __aenter__(self) -> "HttpClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._session.close()

    async def post_json(self, urls: Sequence[str], body: Any, parse: Callable[[Any], T], deadline_s: float) -> T:
        """Post `body` to one of `urls` and return what `parse` makes of the decoded reply.

        Args:
            parse: raises ValueError, TypeError or LookupError where the reply is not what was asked for; that attempt
                then counts as a `bad_reply`.
            deadline_s: seconds for the call, all attempts, waits and back-off included.

        Raises:
            HttpError: no usable reply within the deadline and the attempts; the last attempt's failure.
        """
        start, self._next_start = self._next_start, self._next_start + 1
        last_failure = "no attempt was finished"

        async def attempt_all() -> T:
            nonlocal last_failure
            retrying = AsyncRetrying(
                stop=stop_after_attempt(self._attempts),
                wait=_wait_s,
                retry=retry_if_exception(_may_pass),
                reraise=True,
            )
            async for attempt in retrying:
                with attempt:
                    url = urls[(start + attempt.retry_state.attempt_number - 1) % len(urls)]
                    try:
                        return await self._post_once(url, body, parse)
                    except HttpError as error:
                        last_failure = str(error)
                        raise
            raise AssertionError("tenacity returns or raises")

        try:
            return await asyncio.wait_for(attempt_all(), deadline_s)
        except asyncio.TimeoutError:
            detail = f"no reply within {deadline_s:.3g} s ({last_failure})"
            raise HttpError("timeout", urls[start % len(urls)], detail) from None

    async def _post_once(self, url: str, body: Any, parse: Callable[[Any], T]) -> T:
        async with self._slots:
            try:
                async with self._session.post(url, json=body) as response:
                    payload = await response.read()
            except asyncio.TimeoutError:
                raise HttpError("timeout", url, f"no reply within {self._session.timeout.total} s") from None
            except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an address that no request fits
                raise HttpError("unreachable", url, f"{type(error).__name__}: {error}") from error
        if response.status != 200:
            busy = response.status >= 500 or response.status == _BUSY_STATUS
            detail = f"HTTP {response.status} {_shown(payload)}"
            raise HttpError("server_error" if busy else "rejected", url, detail, _retry_after_s(response))
        try:
            return parse(json.loads(payload))
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            raise HttpError("bad_reply", url, f"{type(error).__name__}: {error}: {_shown(payload)}") from error


def _may_pass(error: BaseException) -> bool:
    """Whether another attempt is worth it: every failure of the way or the server, never a refused request (4xx)."""
    return isinstance(error, HttpError) and error.kind != "rejected"


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, HttpError) else 0.0
    return max(_backoff(state), asked)


def _retry_after_s(response: aiohttp.ClientResponse) -> float:
    """The header's seconds; its other form, a date, is read as 'did not say'."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0


def _shown(payload: bytes) -> str:
    text = payload[:_BODY_SHOWN_CHARS].decode("utf-8", "replace")
    return text + ("…" if len(payload) > _BODY_SHOWN_CHARS else "")
