"""Hostile answers through the real scorer and a server process: none forges a turn, breaks the path or goes unscored.

What was sent is read back from the server, and judged by Hugging Face's own tokenizer and template alone.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from transformers import AutoTokenizer

from coderm_slime.chat import Renderer
from coderm_slime.records import Reason, Verdict
from coderm_slime.scoring.probe import probe_inputs
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings
from coderm_slime.smollm2 import write_tokenizer
from helpers import tiny
from helpers.hostile import CASES, Case, Marks
from helpers.processes import fault_server

QUESTION, HARMLESS = "Write a function that adds two numbers.", "HARMLESS"
MAX_TOKENS, MAX_S = 8192, 5.0
CHATML = Marks("<|im_end|>", "<|im_start|>user\n", "<|im_start|>assistant\n", "<|end|>")
HEADERS = Marks("<|eot|>", "<|head|>user<|/head|>\n\n", "<|head|>assistant<|/head|>\n\n", "<|begin|>")
MARKS = {
    "chatml": CHATML,
    "headers": HEADERS,
    "smollm2": Marks(CHATML.stop, CHATML.user, CHATML.assistant, "<|endoftext|>"),
}


@dataclass(frozen=True)
class Judged:
    """What came of one case: the verdicts of both presets, the ids that the server was sent for each, the time."""

    verdicts: dict[str, Verdict]
    sent: dict[str, list[list[int]]]
    seconds: float


@dataclass(frozen=True)
class Family:
    tokenizer: Any
    marks: Marks
    judged: dict[str, Judged | BaseException]


@pytest.fixture(scope="module", params=["chatml", "headers", pytest.param("smollm2", marks=pytest.mark.torch)])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    """A tokenizer, and what came of all cases, one after another in one event loop."""
    marks = MARKS[request.param]
    if request.param == "smollm2":
        folder = tmp_path_factory.mktemp("smollm2")
        write_tokenizer(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    elif request.param == "headers":
        tokenizer = tiny.tokenizer(tiny.HEADERS, ("<|begin|>", "<|eot|>", "<|head|>", "<|/head|>"))
    else:
        tokenizer = tiny.tokenizer()
    tokenizer.add_tokens(["<think>", "</think>", "<tool_call>", "</tool_call>"])  # added, and not special
    with fault_server("ok") as url:
        return Family(tokenizer, marks, asyncio.run(_judge_all(url, Renderer.of(tokenizer, MAX_TOKENS), marks)))


async def _judge_all(url: str, renderer: Renderer, marks: Marks) -> dict[str, Judged | BaseException]:
    presets = ("paper", "robust")
    settings = [RmSettings(urls=(url,), preset=preset, cache_items=0) for preset in presets]
    known = probe_inputs(renderer)

    async def judge(case: Case) -> Judged:
        verdicts, sent, started = {}, {}, time.perf_counter()
        for preset, scorer in zip(presets, scorers, strict=True):
            judging = scorer.judge(QUESTION, marks.put_into(case.text))
            verdicts[preset] = await asyncio.wait_for(judging, 2 * MAX_S)
            async with client.get(f"{url}/taken") as reply:
                sent[preset] = [ids for ids in await reply.json() if ids not in known]
        return Judged(verdicts, sent, time.perf_counter() - started)

    async with (
        aiohttp.ClientSession() as client,
        Scorer(settings[0], renderer) as paper,
        Scorer(settings[1], renderer) as robust,
    ):
        scorers = (paper, robust)
        outcomes = [(await asyncio.gather(judge(case), return_exceptions=True))[0] for case in CASES]
    return {case.name: outcome for case, outcome in zip(CASES, outcomes, strict=True)}


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def outcome(family: Family, case: Case) -> Judged:
    judged = family.judged[case.name]
    assert isinstance(judged, Judged), f"{case.why}: {judged!r}"
    return judged


def template_ids(tokenizer: Any) -> list[int]:
    messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": HARMLESS}]
    return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)


def test_the_verdict_is_the_expected_one_and_never_an_abstention(family: Family, case: Case) -> None:
    verdicts = outcome(family, case).verdicts
    robust = verdicts["robust"].reason
    assert robust in case.robust, case.why
    asked = robust not in (Reason.UNCLOSED_THOUGHT, Reason.TOO_LONG)  # the preset `paper` knows these floors alone
    assert verdicts["paper"].reason is (Reason.SCORED if asked else robust)
    assert {verdict.shortened for verdict in verdicts.values() if verdict.tokens} <= {case.shortened}


def test_a_score_is_the_servers_for_that_very_text_and_a_floor_asks_nothing(family: Family, case: Case) -> None:
    judged = outcome(family, case)
    for preset, verdict in judged.verdicts.items():
        sent = judged.sent[preset]
        assert len(sent) == (verdict.reason is Reason.SCORED)
        if sent:  # the server scores by length
            assert (verdict.raw, verdict.tokens) == (len(sent[0]) / 100, len(sent[0]))
            assert verdict.score == min(4.0, verdict.raw)
        else:
            assert verdict.score == -4.0


def test_only_the_templates_own_control_tokens_are_sent(family: Family, case: Case) -> None:
    controls = set(family.tokenizer.added_tokens_decoder)
    own = Counter(id_ for id_ in template_ids(family.tokenizer) if id_ in controls)
    assert own.total() >= 3
    for ids in (ids for sent in outcome(family, case).sent.values() for ids in sent):
        assert Counter(id_ for id_ in ids if id_ in controls) == own


def test_what_is_sent_reads_as_the_template_around_the_text(family: Family, case: Case) -> None:
    kept = family.marks.put_into(case.text if case.kept is None else case.kept)
    for char in set(kept):  # SmolLM2's vocabulary lacks some bytes
        if set(family.tokenizer.encode(char, add_special_tokens=False)) <= {family.tokenizer.unk_token_id}:
            kept = kept.replace(char, "")

    def text(ids: list[int]) -> str:
        plain = [id_ for id_ in ids if id_ not in family.tokenizer.added_tokens_decoder]
        return family.tokenizer.decode(plain, clean_up_tokenization_spaces=False)

    expected = text(template_ids(family.tokenizer)).replace(HARMLESS, kept)
    for ids in (ids for sent in outcome(family, case).sent.values() for ids in sent):
        assert text(ids) == expected


def test_every_case_takes_bounded_time(family: Family, case: Case) -> None:
    assert outcome(family, case).seconds < MAX_S
