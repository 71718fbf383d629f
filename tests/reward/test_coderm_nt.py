"""slime's reward function, called as slime calls it: a coroutine per sample on one loop, with slime's names."""

import asyncio
import inspect
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coderm_slime.chat import QuestionError, RenderError
from coderm_slime.settings import SettingsError
from helpers import tiny
from helpers.processes import fault_server
from reward.coderm_nt import RewardUnavailable, reward, reward_group


@dataclass
class Sample:
    """A light stand-in for slime's Sample: the fields that a reward may read."""

    prompt: Any = "<|im_start|>user\nAdd.<|im_end|>"
    response: str = "return a + b"
    metadata: dict = field(default_factory=lambda: {"messages": [{"role": "user", "content": "Add."}], "id": 7})
    reward: Any = None
    status: Any = None
    group_index: int | None = None
    remove_sample: bool = False


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.tokenizer().save_pretrained(folder)
    return str(folder)


def args_for(url: str, tokenizer: str, **rm: object) -> SimpleNamespace:
    return SimpleNamespace(
        coderm={"rm": {"urls": [url], "model_path": tokenizer, "deadline_s": 10, "preset": "paper", **rm}}
    )


def test_names_and_kinds_are_those_that_slime_calls() -> None:
    assert list(inspect.signature(reward).parameters) == ["args", "sample"]
    assert list(inspect.signature(reward_group).parameters) == ["args", "samples"]
    assert inspect.iscoroutinefunction(reward)
    assert inspect.iscoroutinefunction(reward_group)


def test_a_sample_gets_a_float_and_its_verdict_beside_its_own_metadata(tokenizer: str) -> None:
    sample = Sample()
    with fault_server("ok") as url:
        value = asyncio.run(reward(args_for(url, tokenizer), sample))
    verdict = sample.metadata["coderm"]
    assert isinstance(value, float)
    assert value == verdict["score"] == verdict["tokens"] / 100
    assert verdict["reason"] == "scored"
    assert sample.metadata["id"] == 7


def test_lists_and_lists_of_lists_keep_their_shape_and_order(tokenizer: str) -> None:
    samples = [[Sample(response="a" * 9), Sample(response="b" * 200)], [Sample(response="c")]]
    with fault_server("ok") as url:
        values = asyncio.run(reward(args_for(url, tokenizer), samples))
    assert [len(row) for row in values] == [2, 1]
    assert values[0][1] > values[0][0] > values[1][0]


def test_a_group_is_scored_at_the_same_time(tokenizer: str) -> None:
    group = [Sample(response=f"return {n}") for n in range(64)]

    async def timed(args: Any) -> float:
        await reward(args, Sample())  # the tokenizer is loaded before the clock runs
        started = time.monotonic()
        assert len(await reward_group(args, group)) == 64
        return time.monotonic() - started

    with fault_server("slow") as url:  # 0.2 s a request: 12.8 s one after the other
        assert asyncio.run(timed(args_for(url, tokenizer))) < 3


@pytest.mark.parametrize(("mode", "reason"), [("500", "server_error"), ("hang", "timeout"), ("nan", "bad_reply")])
def test_a_failed_call_stops_the_run_and_is_never_a_low_reward(tokenizer: str, mode: str, reason: str) -> None:
    sample = Sample()
    with fault_server(mode) as url, pytest.raises(RewardUnavailable, match=reason):
        asyncio.run(reward(args_for(url, tokenizer, attempts=1, deadline_s=0.5), sample))
    assert sample.metadata["coderm"]["score"] is None


def test_a_sample_without_its_question_is_an_error_at_the_first_sample(tokenizer: str) -> None:
    with fault_server("ok") as url, pytest.raises(QuestionError, match="shows no user turn"):
        asyncio.run(reward(args_for(url, tokenizer), Sample(prompt="Add.", metadata={})))


def test_missing_settings_are_an_error_that_names_them() -> None:
    with pytest.raises(SettingsError, match=r"coderm\.rm\.urls"):
        asyncio.run(reward(SimpleNamespace(), Sample()))


def test_another_event_loop_gets_connections_of_its_own(tokenizer: str) -> None:
    with fault_server("ok") as url:
        args = args_for(url, tokenizer)
        assert asyncio.run(reward(args, Sample())) == asyncio.run(reward(args, Sample()))


def test_other_settings_take_effect_at_the_next_sample(tokenizer: str) -> None:
    async def run(url: str) -> list[float]:
        return [await reward(args_for(url, tokenizer, clip=clip), Sample(response="a" * 300)) for clip in (0.5, 1.0)]

    with fault_server("ok") as url:
        assert asyncio.run(run(url)) == [0.5, 1.0]


def test_a_checkpoint_that_could_not_be_opened_is_tried_again(tokenizer: str, tmp_path: Path) -> None:
    late = tmp_path / "late"

    async def run(args: Any) -> float:
        with pytest.raises(RenderError, match="is no folder"):
            await reward(args, Sample())
        shutil.copytree(tokenizer, late)
        return await reward(args, Sample())

    with fault_server("ok") as url:
        assert asyncio.run(run(args_for(url, str(late)))) > 0


def test_a_cancelled_first_sample_does_not_spoil_the_others(tokenizer: str) -> None:
    async def run(args: Any) -> float:
        first = asyncio.ensure_future(reward(args, Sample()))
        await asyncio.sleep(0)
        first.cancel()
        return await reward(args, Sample())

    with fault_server("ok") as url:
        assert asyncio.run(run(args_for(url, tokenizer))) > 0


POST_PROCESS = "reward.post_process.normalize_groups"


def test_the_question_is_read_from_a_templated_prompt_where_no_messages_are_kept(tokenizer: str) -> None:
    prompt = "<|im_start|>user\nAdd.<|im_end|>\n<|im_start|>assistant\n"
    with fault_server("ok") as url:
        args = args_for(url, tokenizer)
        templated = asyncio.run(reward(args, Sample(prompt=prompt, metadata={})))
        assert templated == asyncio.run(reward(args, Sample()))


def test_with_our_post_process_a_sample_that_cannot_be_scored_is_taken_out(tokenizer: str) -> None:
    sample = Sample()
    with fault_server("500") as url:
        args = args_for(url, tokenizer, attempts=1)
        args.custom_reward_post_process_path = POST_PROCESS
        assert asyncio.run(reward(args, sample)) == 0.0
    assert sample.remove_sample
    assert (sample.metadata["coderm"]["score"], sample.metadata["coderm"]["reason"]) == (None, "server_error")


def test_a_sample_that_is_scored_at_last_comes_back_into_the_loss(tokenizer: str) -> None:
    sample = Sample(remove_sample=True)
    sample.metadata["coderm"] = {"score": None, "reason": "timeout"}
    with fault_server("ok") as url:
        asyncio.run(reward(args_for(url, tokenizer), sample))
    assert not sample.remove_sample
    others = Sample(remove_sample=True)  # taken out by somebody else
    with fault_server("ok") as url:
        asyncio.run(reward(args_for(url, tokenizer), others))
    assert others.remove_sample


@pytest.mark.parametrize("response", [None, ["text"]])
def test_a_response_that_is_no_text_is_a_clear_error(tokenizer: str, response: object) -> None:
    with fault_server("ok") as url, pytest.raises(RewardUnavailable, match="not the policy's text"):
        asyncio.run(reward(args_for(url, tokenizer), Sample(response=response)))


@pytest.mark.parametrize("routers", [None, {"reward": None}, ["http://127.0.0.1:1"]])
def test_routers_of_another_form_are_a_clear_error(tokenizer: str, routers: object) -> None:
    args = args_for("http://127.0.0.1:1", tokenizer, model_name="reward", urls=[])
    args.sglang_model_routers = routers
    with pytest.raises(SettingsError, match=r"router|model_name"):
        asyncio.run(reward(args, Sample()))


def test_abstaining_without_our_post_process_is_refused_at_once(tokenizer: str) -> None:
    with fault_server("ok") as url, pytest.raises(SettingsError, match="custom-reward-post-process-path"):
        asyncio.run(reward(args_for(url, tokenizer, on_failure="abstain"), Sample()))


def test_a_warning_says_which_flag_lets_samples_abstain(tokenizer: str, caplog: pytest.LogCaptureFixture) -> None:
    with fault_server("ok") as url:
        asyncio.run(reward(args_for(url, tokenizer), Sample()))
    assert f"--custom-reward-post-process-path {POST_PROCESS}" in caplog.text


@pytest.mark.parametrize(("mode", "stops"), [("500", True), ("ok", False)])
def test_past_the_failure_rate_the_run_stops_and_not_before_enough_samples(
    tokenizer: str, mode: str, stops: bool
) -> None:
    async def run(args: Any) -> list[Any]:
        first = [reward(args, Sample(response=f"{n}")) for n in range(63)]
        assert len(await asyncio.gather(*first)) == 63
        return await asyncio.gather(
            *(reward(args, Sample(response=f"x{n}")) for n in range(9)), return_exceptions=True
        )

    with fault_server(mode) as url:
        args = args_for(url, tokenizer, attempts=1)
        args.custom_reward_post_process_path = POST_PROCESS
        late = asyncio.run(run(args))
    assert all(isinstance(result, RewardUnavailable) for result in late) is stops
    assert stops is ("of the last" in str(late[-1]))


def test_the_reward_models_name_must_be_one_that_slime_serves(tokenizer: str) -> None:
    with fault_server("ok") as url:
        host, port = url.removeprefix("http://").split(":")
        args = args_for(url, tokenizer, urls=[], model_name="reward")
        with pytest.raises(SettingsError, match="model_name='reward'"):
            asyncio.run(reward(args, Sample()))
        args.sglang_model_routers = {"reward": (host, int(port))}
        assert asyncio.run(reward(args, Sample())) > 0


@pytest.mark.parametrize(
    ("response", "status", "reason"),
    [
        ("no code", None, "no_code"),
        ("```python\ndef (:\n```", None, "syntax_error"),
        ("```python\nx = 1", "truncated", "truncated"),
        ("", None, "empty_answer"),
        ("word " * 5000, None, "too_long"),
        ("<think>", None, "unclosed_thought"),
        ("```python\nx = 1\n```", "truncated", "scored"),
    ],
)
def test_the_robust_preset_gives_what_is_no_program_the_floor_without_a_call(
    tokenizer: str, response: str, status: str | None, reason: str
) -> None:
    sample = Sample(response=response, status=SimpleNamespace(value=status))
    with fault_server("ok") as url:
        value = asyncio.run(reward(args_for(url, tokenizer, preset="robust"), sample))
    assert sample.metadata["coderm"]["reason"] == reason
    assert (value == -4.0) is (reason != "scored")


@pytest.mark.parametrize(("shaping", "floor"), [("clip", -4.0), ("softplus", 0.01815), ("sigmoid", 0.01799)])
def test_a_floor_is_shaped_like_the_lowest_score(tokenizer: str, shaping: str, floor: float) -> None:
    with fault_server("ok") as url:
        args = args_for(url, tokenizer, preset="robust", shaping=shaping)
        values = asyncio.run(reward(args, [Sample(response=""), Sample(response="```python\nx = 1\n```")]))
    assert values[0] == pytest.approx(floor, abs=1e-5)
    assert floor < values[1] <= 4.0
