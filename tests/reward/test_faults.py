"""A thousand samples through slime's reward under each fault of a server: no wrong reward, no hang, every one counted.

The FAKE server's score is the input's length / 100, so a score that belongs to another sample, or to none, is seen.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers import tiny
from helpers.processes import fault_server, killable_serve, sglang_router
from reward.coderm_nt import reward
from reward.failures import POST_PROCESS

SAMPLES = 1000
PARITY = 1e-4


@dataclass
class Outcome:
    """What became of the samples: their verdicts, how often each reason, seconds."""

    verdicts: list[dict]
    reasons: Counter
    seconds: float


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.tokenizer().save_pretrained(folder)
    return str(folder)


def sample(number: int) -> SimpleNamespace:
    messages = [{"role": "user", "content": "Add."}]
    response = "a" * (number % 90) + f" {number}"
    return SimpleNamespace(prompt=messages, response=response, metadata={}, status="completed", remove_sample=False)


def run(urls: list[str], model_path: str, during: Any = None, burst: int = 100, **rm: object) -> Outcome:
    """The thousand rewards in bursts, as groups finish; `during` runs beside them."""
    settings = {
        "attempts": 2,
        "attempt_s": 1,
        "deadline_s": 6,
        "preset": "paper",
        "max_failure_rate": 1,
        "cache_items": 0,
    }
    args = SimpleNamespace(
        coderm={"rm": {"urls": urls, "model_path": model_path, **settings, **rm}},
        custom_reward_post_process_path=POST_PROCESS,
    )
    samples = [sample(number) for number in range(SAMPLES)]

    async def all_of_them() -> list[float]:
        beside = asyncio.ensure_future(during()) if during else None
        values: list[float] = []
        for start in range(0, SAMPLES, burst):
            values += await reward(args, samples[start : start + burst])
        if beside:
            await beside
        return values

    began = time.monotonic()
    values = asyncio.run(all_of_them())
    seconds = time.monotonic() - began
    verdicts = [one.metadata["coderm"] for one in samples]
    for value, verdict, one in zip(values, verdicts, samples, strict=True):
        assert one.remove_sample == (verdict["score"] is None)
        assert value == (0.0 if verdict["score"] is None else verdict["score"])
    return Outcome(verdicts, Counter(verdict["reason"] for verdict in verdicts), seconds)


def assert_scores_are_lengths(outcome: Outcome) -> None:
    for verdict in outcome.verdicts:
        if verdict["score"] is not None:
            assert verdict["score"] == min(4.0, verdict["tokens"] / 100)


ALONE = {
    "500": {"server_error"},
    "503": {"server_error"},
    "hang": {"timeout"},
    "nan": {"wrong_model", "bad_reply"},
    "short": {"bad_reply"},
    "html": {"bad_reply"},
    "language": {"wrong_model"},
    "flat": {"wrong_model"},
}


@pytest.mark.parametrize(("mode", "reasons"), ALONE.items())
def test_a_server_that_never_does_its_work_gives_a_thousand_abstentions(tokenizer, mode, reasons) -> None:
    with fault_server(mode) as url:
        outcome = run([url], tokenizer, burst=500, deadline_s=1, attempt_s=0.5)
    assert set(outcome.reasons) <= reasons
    assert outcome.reasons.total() == SAMPLES
    assert outcome.seconds < 10


IN_MID_RUN = {
    "die": "unreachable",
    "500": "server_error",
    "503": "server_error",
    "short": "bad_reply",
    "other": "wrong_model",
    "flat": "wrong_model",
}


@pytest.mark.parametrize(("fault", "reason"), IN_MID_RUN.items())
def test_a_server_that_goes_bad_in_mid_run_gives_right_scores_before_and_abstentions_after(
    tokenizer, fault, reason
) -> None:
    with fault_server(f"ok-30-then-{fault}") as url:
        outcome = run([url], tokenizer, burst=250, deadline_s=1)
    assert_scores_are_lengths(outcome)
    assert set(outcome.reasons) == {"scored", reason}
    assert outcome.reasons["scored"] > 100
    assert outcome.reasons[reason] > 300


@pytest.mark.parametrize("fault", ["die", "hang", "other", "404"])
def test_beside_a_good_server_what_goes_bad_in_mid_run_costs_hardly_a_score(tokenizer, fault) -> None:
    with fault_server("ok") as good, fault_server(f"ok-15-then-{fault}") as bad:
        outcome = run([good, bad], tokenizer, attempts=5)
    assert_scores_are_lengths(outcome)
    assert outcome.reasons["scored"] >= 990


@pytest.mark.torch
def test_behind_the_real_router_a_killed_worker_costs_hardly_a_score(tmp_path: Path) -> None:
    model = str(tiny.reward_model(tmp_path / "rm", "llama"))
    with killable_serve(Path(model)) as (first, process), killable_serve(Path(model)) as (second, _):
        alone = run([second], model, attempt_s=20, deadline_s=30)

        async def kill() -> None:
            await asyncio.sleep(1)
            process.kill()

        with sglang_router(first, second) as router:
            outcome = run([router], model, during=kill, attempts=10, attempt_s=20, deadline_s=30)
    assert alone.reasons == {"scored": SAMPLES}
    assert outcome.reasons["scored"] >= 990
    for verdict, expected in zip(outcome.verdicts, alone.verdicts, strict=True):
        assert verdict["raw"] is None or verdict["raw"] == pytest.approx(expected["raw"], abs=PARITY)
