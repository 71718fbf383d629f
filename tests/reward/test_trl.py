"""TRL's reward function, called as TRL calls it: a batch at a time, with columns and callbacks that it may ignore."""

import asyncio
import copy
import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coderm_slime.chat import QuestionError
from coderm_slime.settings import SettingsError
from helpers import tiny
from helpers.processes import fault_server
from helpers.scores import requests_seen
from reward.trl import RewardUnavailable, coderm_nt

QUESTION = [{"role": "user", "content": "Add."}]
TEMPLATED = "<|im_start|>user\nAdd.<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def served(tokenizer: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Settings by environment, as a TRL run has them."""
    for name in ("CODERM_CONFIG", "CODERM_RM__POLICY_PATH"):
        monkeypatch.delenv(name, raising=False)

    def serve(url: str, **rm: object) -> None:
        values = {"urls": url, "model_path": tokenizer, "deadline_s": 10, "preset": "paper", **rm}
        for key, value in values.items():
            monkeypatch.setenv(f"CODERM_RM__{key.upper()}", str(value))

    return serve


def said(text: str, **fields: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text, **fields}]


def rewards(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
    return asyncio.run(coderm_nt(prompts=prompts, completions=completions, completion_ids=[[1]], **columns))


def test_trl_takes_it_for_a_coroutine_function() -> None:
    assert inspect.iscoroutinefunction(coderm_nt)
    assert coderm_nt.__name__ == "coderm_nt"  # the name that TRL logs it under


def test_a_batch_of_messages_gets_its_rewards_in_order(served) -> None:
    texts = ["a" * 90, "b", "c" * 300, "d" * 9]
    with fault_server("ok") as url:  # the score is the length
        served(url)
        values = rewards([QUESTION] * 4, [said(text) for text in texts], trainer_state=None, difficulty=[1, 2, 3, 4])
    assert sorted(range(4), key=lambda place: values[place]) == [1, 3, 0, 2]


def test_strings_and_messages_get_the_same_reward(served) -> None:
    with fault_server("ok") as url:
        served(url)
        values = rewards([QUESTION, TEMPLATED, QUESTION], [said("return a + b"), "return a + b", "return a + b"])
    assert values[0] > 0
    assert len(set(values)) == 1


def test_a_string_prompt_is_the_question_where_the_policy_has_no_chat_template(served, tmp_path: Path) -> None:
    tiny.tokenizer(None).save_pretrained(tmp_path)
    with fault_server("ok") as url:
        served(url, policy_path=tmp_path)
        bare, messages = rewards(["Add.", QUESTION], ["return a + b", said("return a + b")])
    assert bare == messages > 0


def test_a_string_prompt_in_no_known_template_is_an_error(served) -> None:
    with fault_server("ok") as url, pytest.raises(QuestionError, match="shows no user turn"):
        served(url)
        rewards(["Add."], ["return a + b"])


def test_missing_settings_are_an_error_that_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODERM_RM__URLS", raising=False)
    with pytest.raises(SettingsError, match=r"coderm\.rm\.urls"):
        rewards([QUESTION], ["a"])


def test_what_cannot_be_scored_is_none_and_the_others_have_their_score(served) -> None:
    reasons: dict[str, list[str]] = {}
    short, texts = [{"role": "user", "content": "A"}], ["y" * n for n in range(7)]
    with fault_server("unlucky") as url:  # no number for one length, which one of these inputs has
        served(url, attempts=1)
        values = rewards([short] * 7, texts, log_extra=reasons.__setitem__)
    assert values.count(None) == 1
    assert reasons["coderm_reason"] == ["bad_reply" if value is None else "scored" for value in values]


def test_a_server_that_fails_gives_none_and_never_a_low_reward(served) -> None:
    with fault_server("500") as url:
        served(url, attempts=1)
        assert rewards([QUESTION] * 3, ["a", "b", "c"]) == [None, None, None]


def test_on_failure_raise_stops_the_run_at_once(served) -> None:
    with fault_server("500") as url, pytest.raises(RewardUnavailable, match="server_error"):
        served(url, attempts=1, on_failure="raise")
        rewards([QUESTION], ["a"])


@pytest.mark.parametrize(("mode", "stops"), [("500", True), ("ok", False)])
def test_past_the_failure_rate_the_run_stops_over_several_batches(served, mode: str, stops: bool) -> None:
    async def steps() -> list[Any]:
        batches = [[f"{step} {n}" for n in range(32)] for step in range(3)]
        return [await asyncio.gather(coderm_nt([QUESTION] * 32, b), return_exceptions=True) for b in batches]

    with fault_server(mode) as url:
        served(url, attempts=1)
        first, *_, (last,) = asyncio.run(steps())
    assert isinstance(first[0], list)  # fewer than 64 samples say little
    assert isinstance(last, RewardUnavailable) is stops


def test_a_thought_that_trl_took_out_is_judged_as_if_it_stood_there(served) -> None:
    reasons: dict[str, list[str]] = {}
    completions = [
        said("return a + b", reasoning_content="hm"),
        said("return a + b"),
        said("", reasoning_content="hm"),
        [*said("first"), {"role": "tool", "content": "4"}, *said("<think>hm</think>return a + b")],
        [{"role": "tool", "content": "4"}],
    ]
    with fault_server("ok") as url:
        served(url, thinking="always")
        values = rewards([QUESTION] * 5, completions, log_extra=reasons.__setitem__)
    unclosed = "unclosed_thought"
    assert reasons["coderm_reason"] == ["scored", unclosed, unclosed, "scored", unclosed]
    assert values[0] == values[3] > 0


def test_the_event_loop_goes_on_while_a_batch_is_scored(served) -> None:
    async def longest_gap() -> float:
        await coderm_nt([QUESTION], ["warm"])  # the tokenizer is loaded before the clock runs
        scoring = asyncio.ensure_future(coderm_nt([QUESTION] * 64, [f"return {n}" * 40 for n in range(64)]))
        gaps, last = [0.0], time.monotonic()
        while not scoring.done():
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()
        assert len(await scoring) == 64
        return max(gaps)

    with fault_server("slow") as url:
        served(url)
        assert asyncio.run(longest_gap()) < 0.2


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["ok", "500"])
def test_trls_own_trainer_learns_from_scores_and_from_nothing_else(served, tokenizer, tmp_path, mode: str) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    torch.manual_seed(0)
    fast = AutoTokenizer.from_pretrained(tokenizer)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"eos_token_id": fast.eos_token_id, "pad_token_id": fast.pad_token_id}
    policy = LlamaForCausalLM(LlamaConfig(vocab_size=len(fast), max_position_embeddings=256, **size, **ids))
    before = copy.deepcopy(policy.state_dict())
    with fault_server(mode) as url:
        served(url, attempts=1)
        trainer = GRPOTrainer(
            model=policy,
            reward_funcs=coderm_nt,
            args=GRPOConfig(
                output_dir=str(tmp_path),
                per_device_train_batch_size=4,
                num_generations=4,
                max_completion_length=16,
                max_steps=1,
                learning_rate=0.01,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                use_cpu=True,
            ),
            train_dataset=Dataset.from_list([{"prompt": QUESTION}] * 4),
            processing_class=fast,
        )
        trainer.train()
        assert requests_seen(url) > 0
    mean = trainer.state.log_history[0]["rewards/coderm_nt/mean"]
    moved = any(not torch.equal(before[name], value) for name, value in policy.state_dict().items())
    assert (mean is not None and mean > 0, moved) == ((True, True) if mode == "ok" else (False, False))
