"""Scores over HTTP: equal to Hugging Face's, and a reason in place of every score that cannot be trusted."""

import asyncio
import random
from pathlib import Path

import aiohttp
import pytest

from coderm_slime.chat import Renderer
from coderm_slime.http import HttpClient, HttpError
from coderm_slime.records import Reason, Verdict
from coderm_slime.scoring.client import RewardModel
from coderm_slime.scoring.engine import EngineError, RewardEngine
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, SettingsError
from helpers import tiny
from helpers.processes import coderm_serve, fault_server

FAMILIES = ("llama", "qwen2", "qwen3")
PARITY = 1e-4


def score(url: str, batch: list[list[int]], attempts: int = 1) -> list[float]:
    async def call() -> list[float]:
        async with HttpClient(max_in_flight=8, attempts=attempts, deadline_s=60) as http:
            return await RewardModel(http, [url]).score(batch)

    return asyncio.run(call())


def post(url: str, body: object) -> tuple[int, str]:
    async def call() -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/embeddings", json=body) as response:
            return response.status, await response.text()

    return asyncio.run(call())


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.reward_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.reward_model(tmp_path_factory.mktemp("served"), "llama")


@pytest.fixture(scope="module")
def served(llama: Path) -> object:
    with coderm_serve(llama) as url:
        yield url


def hugging_face_scores(folder: Path, batch: list[list[int]]) -> list[float]:
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        return [float(model(torch.tensor([ids])).logits) for ids in batch]


def test_served_scores_equal_hugging_faces_one_by_one(checkpoint: Path) -> None:
    chance = random.Random(0)
    batch = [[chance.randrange(3, 300) for _ in range(chance.randrange(1, 120))] for _ in range(32)]
    expected = hugging_face_scores(checkpoint, batch)
    assert max(expected) - min(expected) >= 1  # equal scores would prove nothing
    with coderm_serve(checkpoint) as url:
        assert score(url, batch) == pytest.approx(expected, abs=PARITY)
        assert score(url, batch[::-1]) == pytest.approx(expected[::-1], abs=PARITY)


def test_the_last_token_is_scored_even_where_it_is_the_pad_token(llama: Path) -> None:
    engine = RewardEngine(llama)
    end = tiny.tokenizer().pad_token_id
    with_end, without, other_end = engine.score([[9, 8, 7, end], [9, 8, 7], [9, 8, 7, end + 9]])
    assert abs(with_end - without) > 1e-3
    assert abs(with_end - other_end) > 1e-3


@pytest.mark.parametrize(
    ("batch", "named"),
    [
        ([], "input"),
        ([[]], "0 tokens"),
        ([[1], []], "input 1 has 0"),
        ([[1] * 513], "513 tokens"),
        ([[10**6]], "outside"),
    ],
)
def test_the_server_refuses_an_empty_overlong_or_foreign_input(served: str, batch: list, named: str) -> None:
    status, text = post(served, {"model": "m", "input": batch})
    assert status in (400, 422)
    assert named in text


def test_the_server_takes_one_sequence_as_a_flat_list(served: str) -> None:
    status, text = post(served, {"model": "m", "input": [5, 6, 7]})
    assert status == 200
    assert text.count('"embedding":[') == 1


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


def test_a_checkpoint_that_is_no_reward_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"config\.json"):
        RewardEngine(tmp_path)
    with pytest.raises(EngineError, match="num_labels=3"):
        RewardEngine(tiny.reward_model(tmp_path / "three", "llama", num_labels=3))


def test_a_checkpoint_without_a_head_is_refused_rather_than_given_a_random_one(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny.reward_model(tmp_path / "headless", "qwen2")
    weights = load_file(folder / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineError, match=r"score\.weight"):
        RewardEngine(folder)
