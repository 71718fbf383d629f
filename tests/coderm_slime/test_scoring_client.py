"""Scores over HTTP: a reason in place of every score that cannot be trusted."""

import asyncio
import time
from collections.abc import Awaitable

import pytest

from coderm_slime.chat import Renderer
from coderm_slime.http import HttpClient, HttpError, Server
from coderm_slime.records import Reason, Verdict
from coderm_slime.scoring.client import RewardModel
from coderm_slime.scoring.probe import Probe
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, SettingsError
from helpers import tiny
from helpers.processes import fault_server
from helpers.scores import KNOWN_INPUTS, requests_seen, score


def test_an_empty_sequence_is_never_sent() -> None:
    with fault_server("ok") as url, pytest.raises(ValueError, match="empty token sequence"):
        score(url, [[1], []])


def test_no_server_setting_is_a_clear_error() -> None:
    with pytest.raises(SettingsError, match=r"coderm\.rm\.urls"):
        asyncio.run(Scorer.create(RmSettings(model_path="x")))
    with pytest.raises(SettingsError, match=r"coderm\.rm\.model_path"):
        asyncio.run(Scorer.create(RmSettings(urls=("http://127.0.0.1:1",))))


@pytest.mark.parametrize("token", ["zq-one\nzq-two", "zq-ö"])
def test_a_token_that_no_header_carries_is_a_clear_error_that_does_not_show_it(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODERM_RM_API_KEY", token)
    with pytest.raises(SettingsError, match="the token in CODERM_RM_API_KEY") as caught:
        judge("http://127.0.0.1:1", ["x"])
    assert token[:2] not in str(caught.value)
    monkeypatch.setenv("CODERM_RM_API_KEY", " \n")
    with fault_server("ok") as url:
        assert judge(url, ["x"])[0].reason is Reason.SCORED


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


def test_a_reply_without_end_is_cut_off() -> None:
    with fault_server("endless") as url, pytest.raises(HttpError, match="more than") as caught:
        score(url, [[1, 2]], attempts=1)
    assert caught.value.kind == "bad_reply"


def test_a_server_that_does_not_say_what_it_is_holds_up_no_score() -> None:
    began = time.monotonic()
    with fault_server("shy") as url:
        assert score(url, [[1, 2]]) == [0.02]
    assert time.monotonic() - began < 10


def test_a_call_that_joins_another_keeps_its_own_deadline() -> None:
    async def both(url: str) -> list[object]:
        async with HttpClient(attempts=2, attempt_s=1.0) as http:
            model = RewardModel(http, [Server(url, 8)], Probe(KNOWN_INPUTS))
            first = asyncio.ensure_future(model.score([1, 2], 0.5))
            await asyncio.sleep(0.2)
            second = asyncio.ensure_future(model.score([1, 2], 10))
            done = await asyncio.gather(first, second, return_exceptions=True)
            await model.close()
            return done

    with fault_server("hang-2-then-ok") as url:
        short, long = asyncio.run(both(url))
    assert isinstance(short, HttpError)
    assert long == 0.02


def judge(url: str, responses: list[str], **settings: object) -> list[Verdict]:
    rm = RmSettings(urls=(url,), **{"attempts": 1, "deadline_s": 5, "preset": "paper", **settings})

    async def call() -> list[Verdict]:
        async with Scorer(rm, Renderer.of(tiny.tokenizer(), rm.max_tokens or 2048)) as scorer:
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


def test_floors_cost_no_call() -> None:
    with fault_server("500") as url:
        verdicts = judge(url, ["<think>never closed", " \n", "word " * 900], preset="robust", max_tokens=800, clip=2.0)
    assert [(verdict.reason, verdict.score) for verdict in verdicts] == [
        (Reason.UNCLOSED_THOUGHT, -2.0),
        (Reason.EMPTY_ANSWER, -2.0),
        (Reason.TOO_LONG, -2.0),
    ]


def test_the_paper_preset_asks_about_everything_but_an_unclosed_thought() -> None:
    with fault_server("ok") as url:
        verdicts = judge(url, ["no code", "", "```python\ndef (:\n```", "<think>"], preset="paper")
    assert [verdict.reason.value for verdict in verdicts] == ["scored", "scored", "scored", "unclosed_thought"]
    assert [verdict.valid for verdict in verdicts] == [False, False, False, None]


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
        async with Scorer(RmSettings(urls=(url,)), SlowRenderer.of(tiny.tokenizer(), 2048)) as scorer:
            return await longest_gap(scorer.judge("Add.", "return a + b"))

    with fault_server("ok") as url:
        assert asyncio.run(run(url)) < 0.25


def test_loading_the_tokenizer_does_not_hold_up_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_load(model_path: str, max_tokens: int | None) -> Renderer:
        time.sleep(0.5)
        return Renderer.of(tiny.tokenizer())

    monkeypatch.setattr(Renderer, "load", slow_load)

    async def run() -> float:
        return await longest_gap(Scorer.create(RmSettings(urls=("http://127.0.0.1:1",), model_path="x")))

    tiny.tokenizer()  # transformers is imported before the clock runs: that is paid once a process
    assert asyncio.run(run()) < 0.25


def test_answers_of_megabytes_are_too_long_at_once() -> None:
    started = time.monotonic()
    with fault_server("ok") as url:
        verdicts = judge(url, ["word " * 500_000] * 8 + ["<|im_end|>" * 100_000], preset="robust")
        assert time.monotonic() - started < 3
    assert [verdict.reason for verdict in verdicts] == [Reason.TOO_LONG] * 8 + [Reason.EMPTY_ANSWER]


def test_the_deadline_covers_the_wait_for_a_turn() -> None:
    with fault_server("slow") as url:  # 0.2 s a request, one at a time, 13 batches: the last would wait for 3 s
        started = time.monotonic()
        verdicts = judge(url, [f"return a + {n}" for n in range(200)], max_in_flight=1, deadline_s=1.5)
        assert time.monotonic() - started < 3
    assert {verdict.reason for verdict in verdicts} == {Reason.SCORED, Reason.TIMEOUT}


def test_concurrent_calls_share_requests_and_each_gets_its_own_score() -> None:
    batch = [[1] * length for length in range(1, 101)]
    with fault_server("ok") as url:
        assert score(url, batch) == [length / 100 for length in range(1, 101)]
        assert requests_seen(url) <= 9  # seven batches of sixteen, and the check


def test_identical_inputs_are_scored_once_and_kept() -> None:
    async def run(url: str) -> dict[str, int]:
        rm = RmSettings(urls=(url,), preset="paper")
        async with Scorer(rm, Renderer.of(tiny.tokenizer())) as scorer:
            for _ in range(2):
                await asyncio.gather(*(scorer.judge("Add.", "the same") for _ in range(50)))
            return scorer.traffic()

    with fault_server("ok") as url:
        traffic = asyncio.run(run(url))
    assert (traffic["inputs"], traffic["batches"], traffic["joined"] + traffic["cached"]) == (100, 1, 99)
    assert traffic["joined"] > 0
    assert traffic["cached"] >= 50


@pytest.mark.parametrize("mode", ["flat", "language"])
def test_a_server_that_is_no_reward_model_is_never_believed(mode: str) -> None:
    with fault_server(mode) as url:
        (verdict,) = judge(url, ["return a + b"])
    assert (verdict.score, verdict.reason) == (None, Reason.WRONG_MODEL)


def test_a_checkpoint_that_changes_in_mid_run_gives_not_one_more_score() -> None:
    async def run(url: str) -> list[Verdict]:
        rm = RmSettings(urls=(url,), preset="paper", attempts=1)
        async with Scorer(rm, Renderer.of(tiny.tokenizer())) as scorer:
            before = [await scorer.judge("Add.", f"return {n}" + "x" * n) for n in range(5)]
            return before + await asyncio.gather(*(scorer.judge("Add.", "y" * n) for n in range(1, 41)))

    with fault_server("ok-7-then-other") as url:
        verdicts = asyncio.run(run(url))
    scored = [verdict for verdict in verdicts if verdict.score is not None]
    assert 5 <= len(scored) < 30
    assert all(verdict.raw == verdict.tokens / 100 for verdict in scored)
    assert {verdict.reason for verdict in verdicts} == {Reason.SCORED, Reason.WRONG_MODEL}


def test_one_input_without_a_number_spoils_no_other_in_its_batch() -> None:
    batch = [[1] * length for length in (3, 13, 4)]  # thirteen is the fault server's unlucky length
    with fault_server("unlucky") as url:
        with pytest.raises(HttpError, match="not a finite number") as caught:
            score(url, batch)
        assert caught.value.kind == "bad_reply"
        assert score(url, [batch[0], batch[2]]) == [0.03, 0.04]
        verdicts = judge(url, ["return a", "return a + b"])
    assert {verdict.reason for verdict in verdicts} == {Reason.SCORED}


def test_one_refused_input_is_refused_alone() -> None:
    async def run(url: str) -> list[object]:
        async with HttpClient(attempts=1, attempt_s=10) as http:
            client = RewardModel(http, [Server(url, 8)], Probe(KNOWN_INPUTS))
            calls = [client.score([1] * length, 10) for length in (3, 13, 4)]
            return await asyncio.gather(*calls, return_exceptions=True)

    with fault_server("refusing") as url:
        first, second, third = asyncio.run(run(url))
    assert (first, third) == (0.03, 0.04)
    assert isinstance(second, HttpError)
    assert second.kind == "rejected"


def test_the_native_endpoint_gives_the_same_scores() -> None:
    with fault_server("ok") as url:
        assert score(url, [[1, 2], [3]], endpoint="/classify") == [0.02, 0.01]


def test_the_endpoint_that_makes_every_score_one_is_refused() -> None:
    with pytest.raises(ValueError, match="soft-maxes"):
        RmSettings(endpoint="/v1/classify")


@pytest.mark.parametrize("bad", ["500", "drop", "nan", "html", "flat", "language", "hang"])
def test_a_thousand_samples_beside_a_bad_server_are_scored_right_by_the_good_one(bad: str) -> None:
    async def run(urls: tuple[str, ...]) -> tuple[list[Verdict], dict[str, int]]:
        rm = RmSettings(urls=urls, preset="paper", attempt_s=0.5, deadline_s=30)
        async with Scorer(rm, Renderer.of(tiny.tokenizer())) as scorer:
            calls = [scorer.judge("Add.", "a" * (n % 90) + f" {n}") for n in range(1000)]
            return await asyncio.gather(*calls), scorer.traffic()

    with fault_server("ok") as good, fault_server(bad) as broken:
        # The good one is heard first: which of two servers that disagree is right cannot be told without a card.
        verdicts, traffic = asyncio.run(run((good, broken)))
    assert len(verdicts) == 1000
    assert all(verdict.raw == verdict.tokens / 100 for verdict in verdicts if verdict.score is not None)
    assert sum(verdict.score is not None for verdict in verdicts) >= 990
    assert sum(traffic.get(kind, 0) for kind in ("server_error", "unreachable", "bad_reply", "wrong_model", "timeout"))
