"""The HTTP client against real, misbehaving server processes: it retries what may pass, within its time."""

import asyncio
import time

import pytest
from tenacity import RetryCallState

from coderm_slime.http import HttpClient, HttpError, Server, _backoff
from helpers.processes import fault_server
from helpers.scores import requests_seen

PATH = "/v1/embeddings"
BODY = {"model": "m", "input": [[1, 2, 3]]}


def as_it_is(reply: object) -> object:
    return reply


async def post_once(http: HttpClient, servers: list[Server], deadline_s: float) -> object:
    return await http.call(servers, lambda server: http.request(server, "POST", PATH, BODY, as_it_is), deadline_s)


def post(
    urls: list[str], *, deadline_s: float = 10.0, calls: int = 1, bearer: str | None = None, **client: object
) -> list:
    """The replies to `calls` calls, one after the other."""

    async def call() -> list:
        servers = [Server(url, 4, bearer) for url in urls]
        async with HttpClient(**{"attempts": 3, "attempt_s": 10, **client}) as http:
            return [await post_once(http, servers, deadline_s) for _ in range(calls)]

    return asyncio.run(call())


@pytest.mark.parametrize("mode", ["500-then-ok", "503-then-ok", "429-then-ok", "drop-then-ok", "html-then-ok"])
def test_a_passing_failure_is_tried_again(mode: str) -> None:
    with fault_server(mode) as url:
        assert post([url])[0]["data"][0]["embedding"] == [0.03]
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
        assert post([gone, alive])[0]["data"]


def test_calls_beyond_the_bound_wait_their_turn() -> None:
    async def run(url: str) -> float:
        async with HttpClient(attempts=1, attempt_s=10) as client:
            started, server = time.monotonic(), Server(url, max_in_flight=2)
            calls = (post_once(client, [server], 10) for _ in range(6))
            await asyncio.gather(*calls)
            return time.monotonic() - started

    with fault_server("slow") as url:
        assert asyncio.run(run(url)) >= 3 * 0.2  # six requests of 0.2 s, two at a time


def test_a_hanging_server_leaves_time_for_the_next_one() -> None:
    with fault_server("hang") as stuck, fault_server("ok") as alive:
        started = time.monotonic()
        assert len(post([stuck, alive], attempt_s=0.3, calls=4)) == 4
        assert time.monotonic() - started < 5


def test_calls_rotate_over_the_servers() -> None:
    with fault_server("ok") as one, fault_server("ok") as other:
        post([one, other], calls=6)
        assert (requests_seen(one), requests_seen(other)) == (3, 3)


def test_a_busy_server_is_left_alone_as_long_as_it_asked() -> None:
    with fault_server("busy-then-ok") as url:
        started = time.monotonic()
        post([url])
        assert time.monotonic() - started >= 1.0


def test_the_bearer_token_is_sent_without_the_newline_of_its_file() -> None:
    with fault_server("auth") as url:
        assert post([url], bearer="secret\n")[0]["data"]
        with pytest.raises(HttpError, match="HTTP 401"):
            post([url])


def after(attempts: int) -> RetryCallState:
    state = RetryCallState(None, None, (), {})
    state.attempt_number = attempts
    return state


def test_waits_between_attempts_grow_to_seconds_and_differ() -> None:
    waits = [[_backoff(after(attempts)) for attempts in (1, 8)] for _ in range(50)]
    assert max(first for first, _ in waits) <= 0.2
    assert max(late for _, late in waits) > 1.5
    assert len({late for _, late in waits}) > 40


def test_a_burst_of_calls_spreads_over_the_servers() -> None:
    async def run(urls: list[str]) -> None:
        servers = [Server(url, max_in_flight=8) for url in urls]
        async with HttpClient(attempts=1, attempt_s=10) as client:
            await asyncio.gather(*(post_once(client, servers, 10) for _ in range(12)))

    with fault_server("slow") as one, fault_server("slow") as other:
        asyncio.run(run([one, other]))
        assert (requests_seen(one), requests_seen(other)) == (6, 6)


def test_a_narrow_server_gets_its_share_of_a_burst() -> None:
    async def run(urls: list[str]) -> None:
        servers = [Server(urls[0], max_in_flight=2), Server(urls[1], max_in_flight=10)]
        async with HttpClient(attempts=1, attempt_s=10) as client:
            await asyncio.gather(*(post_once(client, servers, 10) for _ in range(12)))

    with fault_server("slow") as narrow, fault_server("slow") as wide:
        asyncio.run(run([narrow, wide]))
        assert (requests_seen(narrow), requests_seen(wide)) == (2, 10)


@pytest.mark.parametrize("status", ["401", "404"])
def test_a_server_with_a_wrong_key_or_path_rests_and_the_others_answer(status: str) -> None:
    with fault_server(status) as wrong, fault_server("ok") as well:
        assert len(post([wrong, well], calls=6)) == 6
        assert requests_seen(wrong) == 1


def test_a_server_that_refuses_one_input_does_not_rest() -> None:
    async def run(urls: list[str]) -> None:
        servers = [Server(url, 4) for url in urls]
        async with HttpClient(attempts=3, attempt_s=10) as client:
            with pytest.raises(HttpError, match="HTTP 400"):
                await post_once(client, servers, 10)
            for _ in range(3):
                await post_once(client, servers, 10)

    with fault_server("400-then-ok") as picky, fault_server("ok") as well:
        asyncio.run(run([picky, well]))
        assert (requests_seen(picky), requests_seen(well)) == (2, 2)  # by turns, as two that are well
