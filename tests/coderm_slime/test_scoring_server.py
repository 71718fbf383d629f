"""The CPU stand-in server: its scores equal Hugging Face's, and it refuses what it cannot score."""

import asyncio
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
from helpers.processes import coderm_serve
from helpers.scores import score

pytestmark = pytest.mark.torch
FAMILIES = ("llama", "qwen2", "qwen3")
PARITY = 1e-4


@pytest.fixture(scope="module")
def engine_module() -> object:
    """`coderm_slime.scoring.engine`, imported only where torch is wanted."""
    from coderm_slime.scoring import engine

    return engine


def post(url: str, body: object) -> tuple[int, str]:
    async def call() -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/embeddings", json=body) as response:
            return response.status, await response.text()

    return asyncio.run(call())


class FakeEngine:
    """A FAKE engine: its scores are lengths, or what it is told; each batch takes `seconds`."""

    max_tokens, vocab_size, architectures = 200_000, 10, ("Fake",)

    def __init__(self, seconds: float = 0.0, scores: list[float] | None = None) -> None:
        self.seconds, self.scores, self.batches = seconds, scores, 0

    def score(self, batch: list[list[int]]) -> list[float]:
        self.batches += 1
        time.sleep(self.seconds)
        return self.scores or [float(len(ids)) for ids in batch]


@contextmanager
def listening(engine: FakeEngine) -> Iterator[str]:
    """The URL of the real application around a fake engine, in this process."""
    import uvicorn

    from coderm_slime.scoring.server import create_app

    config = uvicorn.Config(create_app(engine, "fake"), port=0, log_level="error", timeout_graceful_shutdown=1)
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
    with listening(FakeEngine(scores=[float("nan")])) as url:
        status, text = post(url, {"model": "m", "input": [1, 2]})
    assert (status, "not finite" in text) == (500, True)


def test_more_than_can_be_done_soon_is_told_to_come_back() -> None:
    async def burst(url: str) -> list[tuple[int, str | None]]:
        async with aiohttp.ClientSession() as session:

            async def one() -> tuple[int, str | None]:
                body = {"model": "m", "input": [1] * 60_000}
                async with session.post(f"{url}/v1/embeddings", json=body) as response:
                    return response.status, response.headers.get("Retry-After")

            return await asyncio.gather(*(one() for _ in range(6)))

    with listening(FakeEngine(seconds=0.3)) as url:
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
    assert engine.batches <= 3  # the one under way, perhaps one that had its turn, and the last


def test_a_batch_is_cut_by_its_padded_tokens(engine_module) -> None:
    batch = [[0] * length for length in (5, 5, 5, 8, 20, 50)]
    groups = engine_module._within_budget(list(range(6)), batch, 40)
    assert groups == [[0, 1, 2, 3], [4], [5]]  # 4 x 8 fits, a fifth of 20 would not; 50 alone exceeds and goes alone


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


def test_the_last_token_is_scored_even_where_it_is_the_pad_token(llama: Path, engine_module) -> None:
    engine = engine_module.RewardEngine(llama)
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


def test_a_checkpoint_that_is_no_reward_model_is_refused(tmp_path: Path, engine_module) -> None:
    with pytest.raises(engine_module.EngineError, match=r"config\.json"):
        engine_module.RewardEngine(tmp_path)
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(engine_module.EngineError, match="is a LlamaForCausalLM"):
        engine_module.RewardEngine(tmp_path / "lm")
    with pytest.raises(engine_module.EngineError, match="num_labels=3"):
        engine_module.RewardEngine(tiny.reward_model(tmp_path / "three", "llama", num_labels=3))


def test_a_checkpoint_without_a_head_is_refused_rather_than_given_a_random_one(tmp_path: Path, engine_module) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny.reward_model(tmp_path / "headless", "qwen2")
    weights = load_file(folder / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(engine_module.EngineError, match=r"score\.weight"):
        engine_module.RewardEngine(folder)
