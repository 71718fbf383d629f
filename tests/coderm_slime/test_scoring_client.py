"""Scores over HTTP: a reason in place of every score that cannot be trusted."""

import asyncio
import time
from collections.abc import Awaitable

import pytest

from coderm_slime.chat import Renderer
from coderm_slime.http import HttpError
from coderm_slime.records import Reason, Verdict
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, SettingsError
from helpers import tiny
from helpers.processes import fault_server
from helpers.scores import score


def test_an_empty_sequence_is_never_sent() -> None:
    with fault_server("ok") as url, pytest.raises(ValueError, match="empty token sequence"):
        score(url, [[1], []])


def test_no_server_setting_is_a_clear_error() -> None:
    with pytest.raises(SettingsError, match=r"coderm\.rm\.urls"):
        asyncio.run(Scorer.create(RmSettings(model_path="x")))
    with pytest.raises(SettingsError, match=r"coderm\.rm\.model_path"):
        asyncio.run(Scorer.create(RmSettings(urls=("http://127.0.0.1:1",))))


@pytest.mark.parametrize("mode", ["nan", "huge", "digits", "nested", "short", "swapped", "wide", "text", "html"])
def test_a_reply_that_cannot_be_trusted_is_an_error_not_a_score(mode: str) -> None:
    with fault_server(mode) as url, pytest.raises(HttpError) as caught:
        score(url, [[1, 2], [3]])
    assert caught.value.kind == "bad_reply"
    assert url in str(caught.value)


def test_a_reply_that_cannot_be_trusted_is_asked_for_again_and_blamed_on_its_sender() -> None:
    with fault_server("nan-then-ok") as url:
        assert score(url, [[1, 2]], attempts=2) == [0.02]
    with fault_server("nan") as liar, fault_server("500") as broken, pytest.raises(HttpError) as caught:
        score([broken, liar], [[1, 2]], attempts=2)
    assert str(caught.value).startswith(f"bad_reply at {liar}")


def judge(url: str, responses: list[str], **settings: object) -> list[Verdict]:
    rm = RmSettings(urls=(url,), **{"attempts": 1, "deadline_s": 5, **settings})

    async def call() -> list[Verdict]:
        async with Scorer(rm, Renderer(tiny.tokenizer(), rm.max_tokens)) as scorer:
            return await asyncio.gather(*(scorer.judge("Add two numbers.", response) for response in responses))

    return asyncio.run(call())


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("500", Reason.SERVER_ERROR),
        ("503", Reason.SERVER_ERROR),
        ("400", Reason.REJECTED),
        ("nan", Reason.BAD_REPLY),
        ("nested", Reason.BAD_REPLY),
        ("html", Reason.BAD_REPLY),
        ("drop", Reason.UNREACHABLE),
        ("hang", Reason.TIMEOUT),
    ],
)
def test_an_outage_is_an_abstention_with_its_reason_and_never_a_score(mode: str, reason: Reason) -> None:
    with fault_server(mode) as url:
        (verdict,) = judge(url, ["return a + b"], deadline_s=0.5)
    assert (verdict.score, verdict.raw, verdict.reason) == (None, None, reason)
    assert verdict.detail


def test_each_response_gets_its_own_score_clipped_with_its_logit_kept() -> None:
    responses = ["a" * length for length in (1, 30, 3, 500)]
    with fault_server("ok") as url:
        verdicts = judge(url, responses, clip=1.0)
    assert [verdict.raw for verdict in verdicts] == [verdict.tokens / 100 for verdict in verdicts]
    assert [verdict.score for verdict in verdicts] == [min(1.0, verdict.raw) for verdict in verdicts]
    assert verdicts[3].raw > 1.0


def test_floors_cost_no_call_and_overlong_answers_abstain() -> None:
    with fault_server("500") as url:
        verdicts = judge(url, ["<think>never closed", " \n", "word " * 500], max_tokens=100, clip=2.0)
    assert [(verdict.reason, verdict.score) for verdict in verdicts] == [
        (Reason.UNCLOSED_THOUGHT, -2.0),
        (Reason.EMPTY_ANSWER, -2.0),
        (Reason.TOO_LONG, None),
    ]


async def longest_gap(work: Awaitable[object]) -> float:
    """The longest time, in seconds, that the event loop stood still while `work` was done."""
    gap, task = 0.0, asyncio.ensure_future(work)
    while not task.done():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        gap = max(gap, time.monotonic() - before)
    await task
    return gap


class SlowRenderer(Renderer):
    """A renderer whose CPU work takes half a second, as a large tokenizer's loading does."""

    def render(self, question: str, answer: str) -> list[int] | None:
        time.sleep(0.5)
        return super().render(question, answer)


def test_rendering_does_not_hold_up_the_event_loop() -> None:
    async def run(url: str) -> float:
        async with Scorer(RmSettings(urls=(url,)), SlowRenderer(tiny.tokenizer(), 2048)) as scorer:
            return await longest_gap(scorer.judge("Add.", "return a + b"))

    with fault_server("ok") as url:
        assert asyncio.run(run(url)) < 0.25


def test_loading_the_tokenizer_does_not_hold_up_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_load(model_path: str, max_tokens: int) -> Renderer:
        time.sleep(0.5)
        return Renderer(tiny.tokenizer(), max_tokens)

    monkeypatch.setattr(Renderer, "load", slow_load)

    async def run() -> float:
        return await longest_gap(Scorer.create(RmSettings(urls=("http://127.0.0.1:1",), model_path="x")))

    tiny.tokenizer()  # transformers is imported before the clock runs: that is paid once a process
    assert asyncio.run(run()) < 0.25


def test_answers_of_megabytes_are_too_long_at_once() -> None:
    started = time.monotonic()
    with fault_server("ok") as url:
        verdicts = judge(url, ["word " * 500_000] * 8 + ["<|im_end|>" * 100_000])
        assert time.monotonic() - started < 3
    assert [verdict.reason for verdict in verdicts] == [Reason.TOO_LONG] * 8 + [Reason.EMPTY_ANSWER]


def test_the_deadline_covers_the_wait_for_a_turn() -> None:
    with fault_server("slow") as url:  # 0.2 s a request, one at a time: the last would wait for 4 s
        started = time.monotonic()
        verdicts = judge(url, ["return a + b"] * 20, max_in_flight=1, deadline_s=1.0)
        assert time.monotonic() - started < 3
    assert {verdict.reason for verdict in verdicts} == {Reason.SCORED, Reason.TIMEOUT}
