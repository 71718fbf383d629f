"""Scores over HTTP: a reason in place of every score that cannot be trusted."""

import asyncio

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


@pytest.mark.parametrize("mode", ["nan", "short", "swapped", "wide", "text", "html"])
def test_a_reply_that_cannot_be_trusted_is_an_error_not_a_score(mode: str) -> None:
    with fault_server(mode) as url, pytest.raises(HttpError) as caught:
        score(url, [[1, 2], [3]])
    assert caught.value.kind == "bad_reply"


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
