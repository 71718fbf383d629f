"""The HTTP client against real, misbehaving server processes: it retries what may pass, and never longer than it
may.
"""

import asyncio
import time

import aiohttp
import pytest

from coderm_slime.http import HttpClient, HttpError
from helpers.processes import fault_server

BODY = {"model": "m", "input": [[1, 2, 3]]}


def post(urls: list[str], *, attempts: int = 3, deadline_s: float = 10.0) -> object:
    async def call() -> object:
        async with HttpClient(max_in_flight=4, attempts=attempts, deadline_s=deadline_s) as client:
            return await client.post_json([f"{url}/v1/embeddings" for url in urls], BODY)

    return asyncio.run(call())


def requests_seen(url: str) -> int:
    async def call() -> int:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/count") as response:
            return (await response.json())["requests"]

    return asyncio.run(call())


@pytest.mark.parametrize("mode", ["500-then-ok", "503-then-ok", "429-then-ok", "drop-then-ok", "html-then-ok"])
def test_a_passing_failure_is_tried_again(mode: str) -> None:
    with fault_server(mode) as url:
        assert post([url])["data"][0]["embedding"] == [0.03]
        assert requests_seen(url) == 2


@pytest.mark.parametrize("status", ["400", "401", "404", "422"])
def test_a_refused_request_is_not_repeated(status: str) -> None:
    with fault_server(f"{status}-then-ok") as url:
        with pytest.raises(HttpError, match=f"HTTP {status} told to fail") as caught:
            post([url])
        assert caught.value.kind == "rejected"
        assert requests_seen(url) == 1


@pytest.mark.parametrize(("mode", "kind"), [("500", "server_error"), ("html", "bad_reply"), ("drop", "unreachable")])
def test_a_lasting_failure_ends_with_its_kind_after_the_stated_attempts(mode: str, kind: str) -> None:
    with fault_server(mode) as url:
        with pytest.raises(HttpError) as caught:
            post([url], attempts=2)
        assert caught.value.kind == kind
        assert requests_seen(url) == 2


def test_a_hanging_server_costs_the_deadline_and_no_more() -> None:
    with fault_server("hang") as url:
        started = time.monotonic()
        with pytest.raises(HttpError, match=r"no reply within 0\.5 s") as caught:
            post([url], deadline_s=0.5)
        assert caught.value.kind == "timeout"
        assert time.monotonic() - started < 3


def test_a_dead_server_is_unreachable_and_the_next_one_answers() -> None:
    with fault_server("ok") as gone:
        pass
    with pytest.raises(HttpError) as caught:
        post([gone], attempts=2)
    assert caught.value.kind == "unreachable"
    with fault_server("ok") as alive:
        assert post([gone, alive])["data"]


def test_calls_beyond_the_bound_wait_their_turn() -> None:
    async def run(url: str) -> float:
        async with HttpClient(max_in_flight=2, attempts=1, deadline_s=10) as client:
            started = time.monotonic()
            await asyncio.gather(*(client.post_json([f"{url}/v1/embeddings"], BODY) for _ in range(6)))
            return time.monotonic() - started

    with fault_server("slow") as url:
        assert asyncio.run(run(url)) >= 3 * 0.2  # six requests of 0.2 s, two at a time
