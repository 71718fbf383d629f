"""The stand-in in front of a language model: answers and log-probabilities equal Hugging Face's, batched or alone."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from coderm_slime.llm import LlmEndpoint, LlmPool
from helpers import tiny
from helpers.processes import coderm_serve, sglang_router

pytestmark = pytest.mark.torch
PROMPTS = [[7, 8, 9], [30, 31, 32, 33, 34, 35, 36, 37, 38, 39], [50], [60, 61, 62, 63, 64]]
GREEDY = {"temperature": 0, "max_new_tokens": 12, "ignore_eos": True}
CLOSE = 1e-4


LONGEST = 8192  # tokens: to write them all takes far longer than any test waits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.language_model(tmp_path_factory.mktemp("lm"), max_position_embeddings=LONGEST)


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    with coderm_serve(folder) as url:
        yield url


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def ask(url: str, *bodies: dict, path: str = "/generate") -> list[dict]:
    """The replies to requests sent at the same time; of a refused one its error."""

    async def call() -> list[dict]:
        async with aiohttp.ClientSession() as session:

            async def one(body: dict) -> dict:
                async with session.post(url + path, json=body) as response:
                    return await response.json()

            return await asyncio.gather(*map(one, bodies))

    return asyncio.run(call())


def greedy_by_hand(model: Any, prompt: list[int], count: int) -> tuple[list[int], list[float]]:
    """Tokens and log-probabilities, each from a forward pass of its own over everything before it."""
    import torch

    ids, logprobs = list(prompt), []
    with torch.inference_mode():
        for _ in range(count):
            last = torch.log_softmax(model(torch.tensor([ids])).logits[0, -1].float(), dim=-1)
            ids.append(int(last.argmax()))
            logprobs.append(float(last.max()))
    return ids[len(prompt) :], logprobs


def test_greedy_answers_and_their_logprobs_equal_hugging_faces_in_a_batch_of_unequal_prompts(served, model) -> None:
    bodies = [
        {"input_ids": ids, "return_logprob": True, "sampling_params": {**GREEDY, "max_new_tokens": 6 + 3 * index}}
        for index, ids in enumerate(PROMPTS)
    ]
    for prompt, reply, body in zip(PROMPTS, ask(served, *bodies), bodies, strict=True):
        tokens, logprobs = greedy_by_hand(model, prompt, body["sampling_params"]["max_new_tokens"])
        meta = reply["meta_info"]
        assert reply["output_ids"] == tokens
        assert [token for _, token, _ in meta["output_token_logprobs"]] == tokens
        assert [logprob for logprob, _, _ in meta["output_token_logprobs"]] == pytest.approx(logprobs, abs=CLOSE)
        assert meta["finish_reason"] == {"type": "length", "length": len(tokens)}
        assert (meta["prompt_tokens"], meta["completion_tokens"]) == (len(prompt), len(tokens))


def test_the_logprobs_of_a_prompt_come_without_generating(served, model) -> None:
    import torch

    ids = PROMPTS[1]
    body = {"input_ids": ids, "return_logprob": True, "logprob_start_len": 0, "sampling_params": {"max_new_tokens": 0}}
    (reply,) = ask(served, body)
    with torch.inference_mode():
        logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0], dim=-1)
    expected = [float(logprobs[place - 1, ids[place]]) for place in range(1, len(ids))]
    first, *rest = reply["meta_info"]["input_token_logprobs"]
    assert first == [None, ids[0], None]
    assert [logprob for logprob, _, _ in rest] == pytest.approx(expected, abs=CLOSE)
    assert reply["output_ids"] == []


def test_the_likeliest_tokens_come_in_order_and_hold_the_greedy_one(served) -> None:
    (reply,) = ask(
        served, {"input_ids": [7], "return_logprob": True, "top_logprobs_num": 3, "sampling_params": GREEDY}
    )
    tops = reply["meta_info"]["output_top_logprobs"]
    assert [row[0][1] for row in tops] == reply["output_ids"]
    assert all(a[0] >= b[0] >= c[0] for a, b, c in tops)


def test_a_stop_token_and_a_stop_text_end_the_answer_and_are_left_out_of_it(served, folder) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    (whole,) = ask(served, {"input_ids": [7], "sampling_params": GREEDY})
    third, text = whole["output_ids"][2], whole["text"]
    stop = next(text[i : i + 2] for i in range(2, len(text)) if "\ufffd" not in text[i : i + 2])
    by_token, by_text, kept = ask(
        served,
        {"input_ids": [7], "sampling_params": {**GREEDY, "stop_token_ids": [third]}},
        {"input_ids": [7], "sampling_params": {**GREEDY, "stop": stop}},
        {"input_ids": [7], "sampling_params": {**GREEDY, "stop": [stop], "no_stop_trim": True}},
    )
    assert by_token["meta_info"]["finish_reason"] == {"type": "stop", "matched": third}
    assert by_token["text"] == tokenizer.decode(whole["output_ids"][: whole["output_ids"].index(third)])
    assert by_text["meta_info"]["finish_reason"] == {"type": "stop", "matched": stop}
    assert by_text["text"] == text.partition(stop)[0]
    assert kept["text"] == by_text["text"] + stop


def test_a_seed_fixes_what_is_drawn_and_top_k_and_top_p_bound_it(served) -> None:
    drawn = {"temperature": 1.5, "max_new_tokens": 40, "ignore_eos": True}
    one, same, other, narrow, sure = (
        reply["output_ids"]
        for reply in ask(
            served,
            *({"input_ids": [7], "sampling_params": {**drawn, "sampling_seed": seed}} for seed in (1, 1, 2)),
            {"input_ids": [7], "sampling_params": {**drawn, "top_k": 1}},
            {"input_ids": [7], "sampling_params": {**drawn, "top_p": 1e-300}},
        )
    )
    (greedy,) = ask(served, {"input_ids": [7], "sampling_params": {**GREEDY, "max_new_tokens": 40}})
    assert one == same != other
    assert narrow == sure == greedy["output_ids"]


def test_an_aborted_generation_gives_back_what_it_has(served) -> None:
    async def call() -> dict:
        async with aiohttp.ClientSession() as session:
            body = {"input_ids": [7], "sampling_params": {**GREEDY, "max_new_tokens": LONGEST - 1}, "rid": "long"}
            asked = asyncio.ensure_future(session.post(f"{served}/generate", json=body))
            await asyncio.sleep(0.25)
            await session.post(f"{served}/abort_request", json={"abort_all": True})
            return await (await asked).json()

    reply = asyncio.run(call())
    assert reply["meta_info"]["finish_reason"]["type"] == "abort"
    assert 0 < len(reply["output_ids"]) < LONGEST - 1


REFUSED = {
    "nothing to go on": {},
    "an empty prompt": {"input_ids": []},
    "a foreign token": {"input_ids": [10**6]},
    "longer than the model": {"input_ids": [5] * (LONGEST - 5), "sampling_params": {"max_new_tokens": 10}},
    "a parameter that is not served": {"input_ids": [5], "sampling_params": {"json_schema": "{}"}},
    "two answers": {"input_ids": [5], "sampling_params": {"n": 2}},
    "streaming": {"input_ids": [5], "stream": True},
    "a negative temperature": {"input_ids": [5], "sampling_params": {"temperature": -1}},
    "a temperature that no float divides by": {"input_ids": [5], "sampling_params": {"temperature": 1e-300}},
    "a seed that no generator takes": {"input_ids": [5], "sampling_params": {"sampling_seed": 10**30}},
    "a lone surrogate": {"text": "a\ud800"},
    "a lone surrogate to stop at": {"input_ids": [5], "sampling_params": {"stop": ["\ud800"]}},
    "a lone surrogate as a name": {"input_ids": [5], "rid": "\ud800"},
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_not_served_is_refused(served, body: dict) -> None:
    (reply,) = ask(served, body)
    assert reply["error"]["code"] == 400


def test_more_new_tokens_than_the_model_has_places_are_refused_with_the_right_bound(served) -> None:
    body = {"input_ids": [5], "sampling_params": {"max_new_tokens": 10**9}}
    assert (
        f"1000000000 new tokens are asked for; at most {LONGEST - 1} are" in ask(served, body)[0]["error"]["message"]
    )


def test_a_chat_may_send_nulls_and_texts_in_parts_as_openais_clients_do(served) -> None:
    parts = [{"type": "text", "text": "Write "}, {"type": "text", "text": "it"}]
    plain = {"messages": [{"role": "user", "content": "Write it"}], "max_tokens": 5, "temperature": 0}
    nulls = dict.fromkeys(("n", "stream", "stop", "seed", "top_p", "logprobs", "top_logprobs", "model"))
    replies = ask(
        served,
        plain,
        plain | nulls,
        plain | {"messages": [{"role": "user", "content": parts}]},
        path="/v1/chat/completions",
    )
    assert [reply["usage"]["completion_tokens"] for reply in replies] == [5, 5, 5]
    assert (
        len({(reply["choices"][0]["message"]["content"], reply["usage"]["prompt_tokens"]) for reply in replies}) == 1
    )


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"seed": 10**30}, "body.seed"),
        ({"temperature": 1e-300}, "body.temperature"),
        ({"model": "\ud800"}, "body.model: .*lone surrogate"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, r"body\.messages\.0\.content: .*lone surrogate"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            r"body\.messages\.0\.content\.0\.type: ",
        ),
        ({"messages": None}, "body.messages: Field required"),
        ({"n": 2}, "body.n"),
        ({"stream": True}, "body.stream"),
    ],
    ids=ascii,
)
def test_a_chat_that_is_not_served_is_refused(served, fields: dict, named: str) -> None:
    body = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, **fields}
    (reply,) = ask(served, body, path="/v1/chat/completions")
    assert reply["error"]["code"] == 400
    assert re.match(named, reply["error"]["message"])


def test_the_pool_gets_answers_with_logprobs_from_a_real_server_and_through_the_real_router(
    served, model, folder
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "user", "content": "Write a function"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    tokens, logprobs = greedy_by_hand(model, prompt, 8)

    async def call(url: str) -> Any:
        async with LlmPool([LlmEndpoint(url=url, model="m")], attempts=3, attempt_s=30) as pool:
            return await pool.complete(messages, max_tokens=8, temperature=0.0, top_logprobs=2, deadline_s=60)

    with sglang_router(served) as router:
        for url in (served, router):
            got = asyncio.run(call(url))
            assert (got.finish_reason, got.prompt_tokens, got.completion_tokens) == ("length", len(prompt), 8)
            assert got.text == tokenizer.decode(tokens)
            assert [token.logprob for token in got.tokens] == pytest.approx(logprobs, abs=CLOSE)
            assert all(len(token.top) >= 1 for token in got.tokens)


def test_a_language_model_says_so_and_scores_nothing(served) -> None:
    async def call() -> tuple[dict, int]:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{served}/model_info") as info, session.get(f"{served}/health_generate") as health:
                assert health.status == 200
                body = await info.json()
            async with session.post(f"{served}/v1/embeddings", json={"model": "m", "input": [1]}) as refused:
                return body, refused.status

    info, status = asyncio.run(call())
    assert (info["is_generation"], status) == (True, 404)
    assert json.dumps(info["architectures"]) == '["LlamaForCausalLM"]'
