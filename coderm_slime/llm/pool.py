"""Asks a pool of OpenAI-compatible endpoints for chat completions, and counts what that uses.

Which endpoint gets a request, how many at a time, what is tried again and for how long is `coderm_slime.http`'s work.
No streaming, no tools, one choice a request: who wants several answers asks several times.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from coderm_slime.http import HttpClient, HttpError, Server
from coderm_slime.llm.completion import Completion, Message, completion_in, counts_in
from coderm_slime.llm.endpoint import CHAT_PATH, EndpointError, LlmEndpoint, Usage
from coderm_slime.text import encodable

# Of a key that a server repeats, also cut short or half masked, no more than its beginning need match to be hidden.
_KEY_TOLD_BY_CHARS = 8


@dataclass
class _Member:
    endpoint: LlmEndpoint
    key: str | None
    usage: Usage


class LlmPool:
    """Endpoints that may stand in for each other. Use as `async with LlmPool(...) as pool`, in one event loop.

    Args:
        attempts: requests per completion at most.
        attempt_s: seconds for one request.

    Raises:
        EndpointError: there is no endpoint, or a key cannot be had.
    """

    def __init__(self, endpoints: Sequence[LlmEndpoint], attempts: int, attempt_s: float) -> None:
        if not endpoints:
            raise EndpointError("a pool needs at least one LLM endpoint, and none is given")
        members = [_Member(endpoint, endpoint.key(), Usage(usd=endpoint.usd(0, 0))) for endpoint in endpoints]
        self._members = {
            Server(member.endpoint.url, member.endpoint.max_in_flight, member.key): member for member in members
        }
        self._http = HttpClient(attempts=attempts, attempt_s=attempt_s)

    async def __aenter__(self) -> "LlmPool":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    @property
    def usage(self) -> Usage:
        """What all endpoints together were asked and used until now."""
        return sum(self.usage_by_endpoint, Usage())

    @property
    def usage_by_endpoint(self) -> tuple[Usage, ...]:
        """Likewise, for each endpoint in the order in which they were given."""
        return tuple(member.usage for member in self._members.values())

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        top_p: float | None = None,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        top_logprobs: int | None = None,
        deadline_s: float,
    ) -> Completion:
        """One answer to `messages`. What is None or empty is not sent. Lone surrogates are sent as '?'.

        An answer that `max_tokens` cuts off is a result. An empty one that ended otherwise is asked for again: it is
        of use to nobody, and most often a server's hiccup.

        Args:
            top_logprobs: ask for every token's log-probability and for so many alternatives; 0 is the token's alone.
            deadline_s: seconds for all attempts, the wait for a slot included.

        Raises:
            HttpError: no usable answer; `kind` "rejected" (never tried again) if the messages are too long.
        """
        optional = {
            "top_p": top_p,
            "stop": [encodable(one) for one in ([stop] if isinstance(stop, str) else stop)] or None,
            "seed": seed,
            "logprobs": None if top_logprobs is None else True,
            "top_logprobs": top_logprobs,
        }
        body = {
            "messages": [{"role": one["role"], "content": encodable(one["content"])} for one in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
            **{name: value for name, value in optional.items() if value is not None},
        }
        return await self._http.call(
            list(self._members), lambda server: self._attempt(server, self._members[server], body), deadline_s
        )

    async def _attempt(self, server: Server, member: _Member, body: dict[str, Any]) -> Completion:
        sent = {"model": member.endpoint.model, **body}
        read = partial(_read, member=member, with_tokens="logprobs" in body)
        member.usage += Usage(requests=1)
        try:
            return _with_text(await self._http.request(server, "POST", CHAT_PATH, sent, read))
        except HttpError as error:
            member.usage += Usage(failures=Counter([error.kind]))
            error.args = (_without_key(str(error), member.key),)
            raise error from None  # the cause's text is in the error's, and might hold the key
        except asyncio.CancelledError:
            member.usage += Usage(failures=Counter(["cancelled"]))
            raise


def _read(reply: Any, member: _Member, with_tokens: bool) -> Completion:
    """Count first, then read: a reply that is no answer was paid for, too."""
    counts = counts_in(reply)
    if counts:
        used = counts.model_dump()
        member.usage += Usage(**used, usd=member.endpoint.usd(**used))
    answer = completion_in(reply, member.endpoint, counts, with_tokens)
    member.usage += Usage(unmetered=0 if counts else 1)
    return answer


def _with_text(answer: Completion) -> Completion:
    """An empty answer is one request's bad luck: the endpoint need not rest for it."""
    if not answer.text and answer.finish_reason != "length":
        detail = f"the answer is empty, with finish_reason {answer.finish_reason!r:.30}"
        raise HttpError("bad_reply", answer.url, detail, by_input=True)
    return answer


def _without_key(text: str, key: str | None) -> str:
    if key is None:
        return text
    return re.sub(re.escape(key[:_KEY_TOLD_BY_CHARS]) + r"[^\s\"']*", "(key)", text)
