"""The LLM pool against real server processes that are FAKE models: answers are checked, counted, and paid for once."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from coderm_slime.http import HttpError
from coderm_slime.llm import Completion, EndpointError, LlmEndpoint, LlmPool, TokenLogprob, Usage
from helpers.fake_llm_server import GOOD
from helpers.processes import HERE, server_process

PING = [{"role": "user", "content": "ping"}]
TOO_LONG = '{"error": {"message": "maximum context length is 512 tokens", "code": 400}}'
KEY = "sk-test-0123456789abcdef"


@contextmanager
def fake_llm(*steps: dict[str, Any]) -> Iterator[str]:
    """The URL of a FAKE chat server, see fake_llm_server.py for its steps."""
    command = [sys.executable, str(HERE / "fake_llm_server.py"), json.dumps(steps or [{}])]
    with server_process(command, r"(http://\S+)") as (url, _):
        yield url


def seen(url: str) -> dict[str, Any]:
    """What a FAKE server was asked so far."""

    async def call() -> dict[str, Any]:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/seen") as response:
            return await response.json()

    return asyncio.run(call())


def endpoint(url: str, **settings: Any) -> LlmEndpoint:
    return LlmEndpoint(**{"url": url, "model": "m", **settings})


def reply(choice: object = None, **over: object) -> dict[str, Any]:
    """A step that answers with GOOD, its first choice or other keys replaced."""
    choices = GOOD["choices"] if choice is None else [choice]
    return {"text": json.dumps({**GOOD, "choices": choices, **over})}


def answer(content: object, finish_reason: object = "stop", **over: object) -> dict[str, Any]:
    return reply({"message": {"content": content}, "finish_reason": finish_reason, **over})


def ask(
    endpoints: list[LlmEndpoint],
    *,
    calls: int = 1,
    apart_s: float = 0.0,
    attempts: int = 3,
    deadline_s: float = 10.0,
    messages: list[Any] = PING,
    **sampling: Any,
) -> tuple[list[Completion | BaseException], LlmPool]:
    """What so many calls, begun so far apart, come to; and the pool for its counts."""

    async def call() -> tuple[list[Completion | BaseException], LlmPool]:
        async with LlmPool(endpoints, attempts=attempts, attempt_s=5) as pool:
            asked = {"max_tokens": 8, "temperature": 0.0, "deadline_s": deadline_s, **sampling}

            async def complete(number: int) -> Completion:
                await asyncio.sleep(number * apart_s)
                return await pool.complete(messages, **asked)

            return await asyncio.gather(*map(complete, range(calls)), return_exceptions=True), pool

    return asyncio.run(call())


def ask_one(url: str, **asked: Any) -> Completion:
    """The one answer, or what was raised in its place."""
    (outcome,), _ = ask([endpoint(url)], **asked)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def failure(endpoints: list[LlmEndpoint], **asked: Any) -> tuple[HttpError, LlmPool]:
    """The one call's error."""
    (outcome,), pool = ask(endpoints, **asked)
    assert isinstance(outcome, HttpError)
    return outcome, pool


def test_an_answer_says_what_it_is_what_it_used_and_whose_it_is() -> None:
    with fake_llm() as url:
        assert ask_one(url) == Completion("pong", "stop", (), 7, 3, "m", url)


def test_the_request_carries_what_was_asked_for_and_nothing_else() -> None:
    with fake_llm() as url:
        ask_one(url)
        ask_one(url, top_p=0.9, stop="END", seed=5, top_logprobs=None)
        ask([endpoint(url, model="other")], stop=["a", "b"], top_logprobs=0, attempts=1)
        plain, sampled, other = seen(url)["bodies"]
    assert plain == {"model": "m", "messages": PING, "max_tokens": 8, "temperature": 0.0}
    assert sampled == {**plain, "top_p": 0.9, "stop": ["END"], "seed": 5}
    assert other == {**plain, "model": "other", "stop": ["a", "b"], "logprobs": True, "top_logprobs": 0}


def test_token_logprobs_come_with_their_alternatives_by_text() -> None:
    four = {"token": "4", "logprob": -0.5, "top_logprobs": [{"token": "4", "logprob": -0.5}]}
    five = {"token": "5", "logprob": 0, "top_logprobs": [{"token": "5", "logprob": -2}, {"token": "5", "logprob": -1}]}
    end = {"token": "<end>", "logprob": -0.1, "top_logprobs": None}
    with fake_llm(answer("45", logprobs={"content": [four, five, end]})) as url:
        tokens = ask_one(url, top_logprobs=2).tokens
    assert tokens == (
        TokenLogprob("4", -0.5, {"4": -0.5}),
        TokenLogprob("5", 0.0, {"5": -1.0}),  # the likelier of two that read the same
        TokenLogprob("<end>", -0.1, {}),
    )


def test_logprobs_that_were_not_asked_for_are_not_read() -> None:
    with fake_llm(answer("x", logprobs={"tokens": ["of another protocol"]})) as url:
        assert ask_one(url).tokens == ()


@pytest.mark.parametrize("content", ["half an ans", "", None])
def test_an_answer_cut_off_by_max_tokens_is_a_result_and_not_asked_for_again(content: str | None) -> None:
    with fake_llm(answer(content, "length")) as url:
        got = ask_one(url, top_logprobs=None if content else 1)
        assert (got.text, got.finish_reason, seen(url)["requests"]) == (content or "", "length", 1)


TOKEN = {"token": "a", "logprob": -1.0, "top_logprobs": []}
MALFORMED = {
    "not JSON": {"text": "<html>a proxy's page</html>"},
    "nothing": {"text": ""},
    "a list": {"text": "[]"},
    "null": {"text": "null"},
    "nested beyond reason": {"text": "[" * 20_000},
    "an error with status 200": {"text": '{"error": {"message": "overloaded"}}'},
    "no choices": reply(choices=[]),
    "choices of another type": reply(choices={"0": "pong"}),
    "a choice of another type": reply("pong"),
    "no message": reply({"text": "pong", "finish_reason": "stop"}),
    "null content": answer(None),
    "null content for a tool call": answer(None, "tool_calls"),
    "empty content": answer(""),
    "content of parts": answer([{"type": "text", "text": "pong"}]),
    "content that is a number": answer(5),
    "content that no file can hold": answer("\ud800"),
    "no finish reason": answer("pong", None),
    "usage in words": reply(usage={"prompt_tokens": "7", "completion_tokens": 3}),
    "usage below zero": reply(usage={"prompt_tokens": -7, "completion_tokens": 3}),
    "usage beyond reason": reply(usage={"prompt_tokens": 10**30, "completion_tokens": 3}),
    "half a usage": reply(usage={"prompt_tokens": 7}),
    "no log-probabilities": answer("a", logprobs=None),
    "log-probabilities of no token": answer("a", logprobs={"content": []}),
    "a NaN log-probability": answer("a", logprobs={"content": [{**TOKEN, "logprob": float("nan")}]}),
    "an infinite log-probability": answer("a", logprobs={"content": [{**TOKEN, "logprob": float("-inf")}]}),
    "a log-probability in words": answer("a", logprobs={"content": [{**TOKEN, "logprob": "-1"}]}),
    "a log-probability that is a truth": answer("a", logprobs={"content": [{**TOKEN, "logprob": True}]}),
    "a log-probability of 401 digits": answer("a", logprobs={"content": [{**TOKEN, "logprob": -(10**400)}]}),
    "a NaN alternative": answer(
        "a", logprobs={"content": [{**TOKEN, "top_logprobs": [{"token": "a", "logprob": float("nan")}]}]}
    ),
}


@pytest.mark.parametrize("step", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_reply_is_a_bad_reply_and_asked_for_again(step: dict[str, Any]) -> None:
    good = answer("a", logprobs={"content": [TOKEN]})
    with fake_llm(step, step, good) as url:
        error, _ = failure([endpoint(url)], attempts=1, top_logprobs=1)
        assert error.kind == "bad_reply"
        assert len(str(error)) < 600
        assert ask_one(url, attempts=2, top_logprobs=1).text == "a"


@pytest.mark.parametrize(("step", "rests"), [(answer(""), False), (answer("a", None), True)])
def test_an_endpoint_rests_after_a_malformed_reply_and_not_after_an_empty_answer(
    step: dict[str, Any], rests: bool
) -> None:
    with fake_llm(step) as url:
        error, pool = failure([endpoint(url)], attempts=1)
    (server,) = pool._members
    assert (error.kind, server.rests_until > 0) == ("bad_reply", rests)


def test_a_bad_reply_says_where_its_first_fault_is() -> None:
    with fake_llm(answer("a", logprobs={"content": [TOKEN, {"token": "b", "logprob": float("nan")}]})) as url:
        error, _ = failure([endpoint(url)], attempts=1, top_logprobs=1)
    assert "logprobs.content.1.logprob: Input should be a finite number" in str(error)


@pytest.mark.parametrize(
    "step", [{"status": 500}, {"status": 503}, {"status": 429, "headers": {"Retry-After": "1"}}], ids=str
)
def test_a_busy_server_is_asked_again(step: dict[str, Any]) -> None:
    with fake_llm(step, {}) as url:
        assert ask_one(url).text == "pong"
        assert seen(url)["requests"] == 2


@pytest.mark.parametrize("step", [{"status": 400, "text": TOO_LONG}, {"status": 401}, {"status": 404}], ids=str)
def test_a_refused_request_is_not_repeated_and_says_why(step: dict[str, Any]) -> None:
    with fake_llm(step, {}) as url:
        error, pool = failure([endpoint(url)])
        assert error.kind == "rejected"
        assert f"HTTP {step['status']} {step.get('text', '')}"[:60] in str(error)
        assert seen(url)["requests"] == 1
    assert pool.usage.failures == {"rejected": 1}


def test_a_dead_endpoint_is_passed_over_and_counted() -> None:
    with fake_llm() as gone:
        pass
    with fake_llm() as alive:
        outcomes, pool = ask([endpoint(gone, model="dead"), endpoint(alive)], calls=4)
        assert [(one.text, one.model, one.url) for one in outcomes] == [("pong", "m", alive)] * 4
        assert seen(alive)["requests"] == 4
    dead, well = pool.usage_by_endpoint
    assert dead.failures["unreachable"] == dead.requests > 0
    assert (well.requests, well.failures) == (4, {})


def test_an_endpoint_has_as_many_in_flight_as_its_bound_and_no_more() -> None:
    with fake_llm({"wait_s": 0.1}) as url:
        outcomes, _ = ask([endpoint(url, max_in_flight=3)], calls=12)
        assert {one.text for one in outcomes} == {"pong"}
        assert (seen(url)["requests"], seen(url)["most_in_flight"]) == (12, 3)


def test_a_call_goes_to_the_endpoint_with_less_to_do() -> None:
    with fake_llm({"wait_s": 1}) as slow, fake_llm() as quick:
        ask([endpoint(slow), endpoint(quick)], calls=8, apart_s=0.05)
        assert [seen(url)["requests"] for url in (slow, quick)] == [1, 7]


def test_the_deadline_holds_over_hanging_endpoints_and_the_wait_for_a_slot() -> None:
    with fake_llm({"wait_s": 60}) as url:
        started = time.monotonic()
        outcomes, pool = ask([endpoint(url, max_in_flight=1)], calls=3, deadline_s=0.5)
        assert time.monotonic() - started < 3
        assert seen(url)["requests"] == 1
    assert [one.kind for one in outcomes] == ["timeout"] * 3
    assert (pool.usage.requests, pool.usage.failures) == (3, {"cancelled": 3})


def test_usage_and_cost_add_up_over_endpoints_and_count_refused_answers_too() -> None:
    with fake_llm(answer(""), {}) as first, fake_llm({"status": 500}, {}) as second:
        price = {"usd_per_million_input": 2.0, "usd_per_million_output": 10.0}
        _, one = ask([endpoint(first, **price)])
        _, two = ask([endpoint(second, **price)])
        _, unpriced = ask([endpoint(first, **price), endpoint(second)])
    assert one.usage.usd == pytest.approx(2 * (7 * 2 + 3 * 10) / 1e6)
    assert (one.usage.requests, one.usage.prompt_tokens, one.usage.completion_tokens) == (2, 14, 6)
    assert one.usage.failures == {"bad_reply": 1}
    assert (two.usage.requests, two.usage.prompt_tokens, two.usage.failures) == (2, 7, {"server_error": 1})
    assert unpriced.usage.usd is None
    assert unpriced.usage_by_endpoint[0].usd == pytest.approx(44 / 1e6)
    assert unpriced.usage_by_endpoint[1] == Usage(usd=None)


def test_an_answer_without_usage_is_good_and_counted_as_unmetered() -> None:
    with fake_llm(reply(usage=None)) as url:
        (got,), pool = ask([endpoint(url)])
    assert (got.text, got.prompt_tokens, got.completion_tokens) == ("pong", None, None)
    assert pool.usage == Usage(requests=1, unmetered=1, usd=None)


def test_a_key_from_the_environment_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_LLM_KEY", f"{KEY}\n")
    with fake_llm({}, {"status": 401, "echo": True}) as url, fake_llm() as open_url:
        keyed = endpoint(url, api_key_variable="TEST_LLM_KEY")
        ask([keyed])
        error, pool = failure([keyed])
        ask([endpoint(open_url)])
        assert seen(url)["authorizations"] == [f"Bearer {KEY}"] * 2
        assert seen(open_url)["authorizations"] == [None]
    assert "HTTP 401 you sent Bearer (key)" in str(error)
    for shown in (str(error), repr(error), repr(keyed), repr(pool.usage)):
        assert KEY[:8] not in shown


@pytest.mark.parametrize("status", [200, 500])
def test_a_key_cut_short_in_a_reply_is_hidden_too(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setenv("TEST_LLM_KEY", KEY)
    with fake_llm({"status": status, "text": f"{'.' * 185} {KEY}"}) as url:
        error, _ = failure([endpoint(url, api_key_variable="TEST_LLM_KEY")], attempts=2, deadline_s=5)
    assert ". (key)" in str(error)
    assert KEY[:8] not in str(error)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TEST_LLM_KEY", "", "TEST_LLM_KEY is not set or empty; set it"),
        ("TEST_LLM_KEY", "two\nlines", "the key in TEST_LLM_KEY has characters that no HTTP header carries"),
        ("TEST_LLM_KEY", "schlüssel", "the key in TEST_LLM_KEY has characters"),
        (KEY, "", "must name an environment variable"),  # the key itself, in the wrong place
    ],
)
def test_a_key_that_cannot_be_had_is_a_clear_error_before_any_request(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(EndpointError, match=message) as caught:
        ask([endpoint("http://127.0.0.1:1", api_key_variable=variable)])
    assert KEY not in str(caught.value)
    assert value == "" or value not in str(caught.value)


def test_a_pool_of_nothing_is_a_clear_error() -> None:
    with pytest.raises(EndpointError, match="at least one LLM endpoint"):
        ask([])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "http://a/v1"}, "without a path such as /v1"),
        ({"url": "http://a/v1/chat/completions/"}, "without a path such as /v1"),
        ({"url": "a:8000"}, "must start with http://"),
        ({"url": "http://user:password@a"}, "must not hold credentials"),
        ({"model": ""}, "at least 1 character"),
        ({"max_in_flight": 0}, "greater than or equal to 1"),
        ({"usd_per_million_input": 1.0}, r"usd_per_million_input=1\.0 and usd_per_million_output=None: give both"),
        ({"usd_per_million_output": -1.0}, "greater than or equal to 0"),
        ({"api_key": KEY}, "Extra inputs are not permitted"),
    ],
    ids=str,
)
def test_a_bad_endpoint_setting_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LlmEndpoint(**{"url": "http://a", "model": "m", **settings})


def test_lone_surrogates_in_a_prompt_are_sent_as_question_marks() -> None:
    with fake_llm() as url:
        assert ask_one(url, messages=[{"role": "user", "content": "a\ud800b"}], stop="\udfff").text == "pong"
        (body,) = seen(url)["bodies"]
    assert (body["messages"][0]["content"], body["stop"]) == ("a?b", ["?"])


def test_a_settings_section_can_hold_endpoints() -> None:
    """The endpoint's module imports nothing that imports the settings, else such a section could not be loaded."""
    code = "import sys, coderm_slime.llm; assert 'coderm_slime.settings' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
