"""The CPU stand-in server: its scores equal Hugging Face's, and it refuses what it cannot score."""

import asyncio
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from helpers import tiny
from helpers.processes import coderm_serve, sglang_router
from helpers.scores import score

pytestmark = pytest.mark.torch
FAMILIES = ("llama", "qwen2", "qwen3")
PARITY = 1e-4


@pytest.fixture(scope="module")
def engine_module() -> object:
    """`coderm_slime.scoring.server.reward_engine`, imported only where torch is wanted."""
    from coderm_slime.scoring.server import reward_engine

    return reward_engine


def ask(url: str, path: str, body: object = None, method: str = "POST") -> tuple[int, str]:
    async def call() -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.request(method, url + path, json=body) as response:
            return response.status, await response.text()

    return asyncio.run(call())


def post(url: str, body: object) -> tuple[int, str]:
    return ask(url, "/v1/embeddings", body)


class FakeEngine:
    """A FAKE engine: scores are lengths, length 13 breaks it and 14 has no number; each batch takes `seconds`.

    Computes only while `gate` is open: a test that closes it decides what waits at the same time, however slow the
    machine is.
    """

    max_tokens, vocab_size = 200_000, 10

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.batches, self.gate = seconds, [], threading.Event()
        self.gate.set()

    def score(self, batch: list[list[int]]) -> list[float]:
        self.batches.append(len(batch))
        assert self.gate.wait(60)
        time.sleep(self.seconds)
        if any(len(ids) == 13 for ids in batch):
            raise RuntimeError("thirteen")
        return [float("nan") if len(ids) == 14 else float(len(ids)) for ids in batch]


@contextmanager
def listening(engine: FakeEngine) -> Iterator[str]:
    """The URL of the real application around a fake engine, in this process."""
    import uvicorn

    from coderm_slime.scoring.server.app import reward_app
    from coderm_slime.scoring.server.common_api import Served

    app = reward_app(engine, Served("fake", False, ("Fake",), engine.max_tokens))
    config = uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def test_a_score_that_is_not_finite_is_a_server_error() -> None:
    with listening(FakeEngine()) as url:
        status, text = post(url, {"model": "m", "input": [1] * 14})
    assert (status, "not finite" in text) == (500, True)


async def until_waiting(session: aiohttp.ClientSession, url: str, tokens: int) -> None:
    """Come back when requests of `tokens` tokens in all are waiting or under way."""
    wanted = f"coderm_standin_waiting_tokens {float(tokens)}"
    while True:
        async with session.get(f"{url}/metrics") as response:
            if wanted in (await response.text()).splitlines():
                return
        await asyncio.sleep(0.01)


def test_requests_that_wait_are_computed_together_and_one_that_breaks_the_model_spoils_no_other() -> None:
    engine = FakeEngine()
    engine.gate.clear()

    async def burst(url: str) -> list[int]:
        async with aiohttp.ClientSession() as session:

            async def one(length: int) -> int:
                async with session.post(f"{url}/classify", json={"input_ids": [1] * length}) as response:
                    return response.status if response.status != 200 else (await response.json())["embedding"][0]

            calls = [asyncio.ensure_future(one(1))]
            await until_waiting(session, url, 1)
            calls += [asyncio.ensure_future(one(length)) for length in range(2, 17)]
            await until_waiting(session, url, sum(range(1, 17)))
            engine.gate.set()
            return await asyncio.gather(*calls)

    with listening(engine) as url:
        assert asyncio.run(burst(url)) == [*range(1, 13), 500, 500, 15, 16]
    assert engine.batches == [1, 15] + [1] * 15  # a batch that broke is computed one by one


def test_an_aborted_request_leaves_the_line() -> None:
    engine = FakeEngine()
    engine.gate.clear()

    async def abort(url: str) -> tuple[int, int]:
        async with aiohttp.ClientSession() as session:
            first = asyncio.ensure_future(session.post(f"{url}/classify", json={"input_ids": [1] * 5000}))
            await until_waiting(session, url, 5000)
            second = asyncio.ensure_future(
                session.post(f"{url}/classify", json={"input_ids": [1] * 5000, "rid": "mine"})
            )
            await until_waiting(session, url, 10_000)
            await session.post(f"{url}/abort_request", json={"rid": "mine"})
            engine.gate.set()
            return (await first).status, (await second).status

    with listening(engine) as url:
        assert asyncio.run(abort(url)) == (200, 499)
    assert engine.batches == [1]


def test_more_than_can_be_done_soon_is_told_to_come_back() -> None:
    engine = FakeEngine()
    engine.gate.clear()

    async def burst(url: str) -> list[tuple[int, str | None]]:
        async with aiohttp.ClientSession() as session:

            async def one() -> tuple[int, str | None]:
                body = {"model": "m", "input": [1] * 60_000}
                async with session.post(f"{url}/v1/embeddings", json=body) as response:
                    return response.status, response.headers.get("Retry-After")

            calls = [asyncio.ensure_future(one()) for _ in range(6)]
            refused = [await call for call in itertools.islice(asyncio.as_completed(calls), 3)]
            engine.gate.set()
            await asyncio.gather(*calls)
            assert refused == [(503, "1")] * 3
            return [call.result() for call in calls]

    with listening(engine) as url:
        assert Counter(asyncio.run(burst(url))) == {(200, None): 3, (503, "1"): 3}  # 200,000 tokens may wait


def test_a_request_whose_client_left_is_not_computed() -> None:
    async def leave(url: str) -> None:
        timeout = aiohttp.ClientTimeout(total=0.3)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            calls = (session.post(f"{url}/v1/embeddings", json={"model": "m", "input": [1]}) for _ in range(20))
            await asyncio.gather(*calls, return_exceptions=True)

    engine = FakeEngine(seconds=0.5)
    with listening(engine) as url:
        asyncio.run(leave(url))
        assert post(url, {"model": "m", "input": [1, 2]})[0] == 200
    assert len(engine.batches) <= 3  # the one under way, perhaps one that had its turn, and the last


def test_a_forward_pass_is_bounded_and_holds_sequences_of_like_length(engine_module) -> None:
    assert engine_module.by_length([100, 16, 17, 16, 101]) == [[1, 3, 2], [0, 4]]
    assert engine_module.by_length([1000] * 5) == [[0, 1], [2, 3], [4]]
    assert engine_module.by_length([]) == []


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


def test_scores_equal_hugging_faces_direct_and_through_the_real_router(checkpoint: Path) -> None:
    chance = random.Random(0)
    batch = [[chance.randrange(3, 300) for _ in range(chance.randrange(1, 120))] for _ in range(32)]
    expected = hugging_face_scores(checkpoint, batch)
    assert max(expected) - min(expected) >= 1  # equal scores would prove nothing
    with coderm_serve(checkpoint) as url, sglang_router(url) as router:
        for address, endpoint in ((url, "/v1/embeddings"), (url, "/classify"), (router, "/v1/embeddings")):
            assert score(address, batch, endpoint=endpoint) == pytest.approx(expected, abs=PARITY)
            assert score(address, batch[::-1], endpoint=endpoint) == pytest.approx(expected[::-1], abs=PARITY)


def test_the_last_token_is_scored_even_where_it_is_the_pad_token(llama: Path, engine_module) -> None:
    engine = engine_module.RewardEngine(llama)
    end = tiny.tokenizer().pad_token_id
    with_end, without, other_end = engine.score([[9, 8, 7, end], [9, 8, 7], [9, 8, 7, end + 9]])
    assert abs(with_end - without) > 1e-3
    assert abs(with_end - other_end) > 1e-3


@pytest.mark.parametrize(
    ("batch", "named"),
    [
        ([], "in"),
        ([[]], "0 tokens"),
        ([[1], []], "input 1 has 0"),
        ([[1] * 513], "513 tokens"),
        ([[10**6]], "outside"),
        ([[-1]], "outside"),
        ([1.5], "input"),
        ({"a": 1}, "input"),
    ],
)
def test_the_server_refuses_an_empty_overlong_or_foreign_input(served: str, batch: object, named: str) -> None:
    for path, body in (("/v1/embeddings", {"model": "m", "input": batch}), ("/classify", {"input_ids": batch})):
        status, text = ask(served, path, body)
        assert status == 400
        assert named in json.loads(text)["error"]["message"]


@pytest.mark.parametrize("body", [{"text": ""}, {"text": ["a", ""]}, {"text": "a", "input_ids": [1]}, {}])
def test_the_server_refuses_empty_text_and_two_inputs_in_one(served: str, body: dict) -> None:
    assert ask(served, "/classify", body)[0] == 400


def test_the_server_refuses_text_that_no_encoder_takes(served: str) -> None:
    for path, body in (
        ("/v1/embeddings", {"model": "m", "input": "a\ud800"}),
        ("/v1/embeddings", {"model": "m", "input": ["a", "\udfff"]}),
        ("/v1/embeddings", {"model": "\ud800", "input": [5]}),
        ("/classify", {"text": "a\ud800"}),
        ("/classify", {"input_ids": [5], "rid": "\ud800"}),
    ):
        status, text = ask(served, path, body)
        assert (status, "lone surrogate" in text) == (400, True)


def test_one_sequence_gives_one_row_and_several_a_list_by_either_path_and_method(served: str) -> None:
    for method in ("POST", "PUT"):
        status, one = ask(served, "/classify", {"input_ids": [5, 6, 7], "rid": "r"}, method)
        _, two = ask(served, "/encode", {"input_ids": [[5, 6, 7], [8]]}, method)
        row, rows = json.loads(one), json.loads(two)
        assert (status, row["meta_info"]["id"], row["meta_info"]["prompt_tokens"], len(rows)) == (200, "r", 3, 2)
        assert rows[0]["embedding"] == pytest.approx(row["embedding"], abs=PARITY)
    status, text = post(served, {"model": "m", "input": [5, 6, 7]})
    reply = json.loads(text)
    assert (status, reply["usage"]["prompt_tokens"]) == (200, 3)
    assert reply["data"][0]["embedding"] == pytest.approx(row["embedding"], abs=PARITY)


def test_text_is_encoded_by_the_models_own_tokenizer(served: str) -> None:
    ids = tiny.tokenizer()("def add<|im_end|>")["input_ids"]
    by_ids = json.loads(ask(served, "/classify", {"input_ids": ids})[1])
    by_text = json.loads(ask(served, "/classify", {"text": ["def add<|im_end|>"]})[1])
    assert by_text[0]["embedding"] == pytest.approx(by_ids["embedding"], abs=PARITY)


def test_the_server_says_what_it_is_and_counts_what_it_did(served: str) -> None:
    for path in ("/model_info", "/get_model_info"):
        info = json.loads(ask(served, path, method="GET")[1])
        assert (info["is_generation"], info["architectures"]) == (False, ["LlamaForSequenceClassification"])
    for path in ("/health", "/health_generate", "/flush_cache", "/v1/models"):
        assert ask(served, path, method="GET")[0] == 200
    post(served, {"model": "m", "input": [5, 6, 7]})
    ask(served, "/no/such/path", method="GET")
    metrics = ask(served, "/metrics", method="GET")[1]
    assert 'coderm_standin_requests_total{path="/v1/embeddings",status="200"}' in metrics
    assert "no/such" not in metrics
    assert "coderm_standin_waiting_tokens 0.0" in metrics


def test_a_checkpoint_that_is_no_reward_model_is_refused(tmp_path: Path, engine_module) -> None:
    from coderm_slime.scoring.server.checkpoint import EngineError

    with pytest.raises(EngineError, match=r"config\.json"):
        engine_module.RewardEngine(tmp_path)
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(EngineError, match="is a LlamaForCausalLM"):
        engine_module.RewardEngine(tmp_path / "lm")
    with pytest.raises(EngineError, match="num_labels=3"):
        engine_module.RewardEngine(tiny.reward_model(tmp_path / "three", "llama", num_labels=3))


def test_a_checkpoint_without_a_head_is_refused_rather_than_given_a_random_one(tmp_path: Path, engine_module) -> None:
    from safetensors.torch import load_file, save_file

    from coderm_slime.scoring.server.checkpoint import EngineError

    folder = tiny.reward_model(tmp_path / "headless", "qwen2")
    weights = load_file(folder / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineError, match=r"score\.weight"):
        engine_module.RewardEngine(folder)
