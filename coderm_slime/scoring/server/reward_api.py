"""The paths of a reward model: raw logits for token ids or text, in the JSON of SGLang 0.5."""

import asyncio
import math
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StrictInt

from coderm_slime.scoring.server.line import Line
from coderm_slime.scoring.server.refusal import Refusal, Text, check_ids
from coderm_slime.scoring.server.requests import UnderWay

# A few forward passes: what comes meanwhile waits no longer than these take.
STEP_TOKENS = 4096

Ids = list[StrictInt]


class Scores(Protocol):
    """What these paths need of a model; `reward_engine.RewardEngine` is the real one."""

    max_tokens: int
    vocab_size: int

    def score(self, batch: Sequence[Sequence[int]]) -> list[float]:
        """Raw logits, in order."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts."""


class EmbeddingsRequest(BaseModel):
    """Body of `/v1/embeddings`."""

    model: Text
    input: Text | list[Text] | Ids | list[Ids] = Field(min_length=1)
    encoding_format: Literal["float"] = "float"


class ClassifyRequest(BaseModel):
    """Body of `/classify` and `/encode`: either text or token ids, of one sequence or several."""

    text: Text | list[Text] | None = None
    input_ids: Ids | list[Ids] | None = None
    rid: Text | None = None


@dataclass(eq=False)
class Scoring:
    """The sequences of one request."""

    batch: list[list[int]]
    aborted: bool = False


def scoring_line(engine: Scores) -> Line[Scoring, list[float]]:
    """The line before `engine`: the sequences of all requests of a step are scored together."""

    def run(works: Sequence[Scoring]) -> list[list[float]]:
        batches = [[] if work.aborted else work.batch for work in works]
        together = [ids for batch in batches for ids in batch]
        logits = engine.score(together) if together else []
        if not all(map(math.isfinite, logits)):
            raise ValueError("it gave a score that is not finite")
        rest = iter(logits)
        return [[next(rest) for _ in batch] for batch in batches]

    return Line(run, STEP_TOKENS)


def reward_api(
    engine: Scores, line: Line[Scoring, list[float]], under_way: UnderWay, count: Callable[[int], None]
) -> APIRouter:
    """The router of these paths; `count` is told how many tokens were scored."""
    api = APIRouter()

    async def logits_of(given: Any, request: Request, rid: str) -> tuple[list[list[int]], list[float]]:
        batch = await _sequences(given, engine)
        tokens = sum(map(len, batch))
        logits = await under_way.result(request, line, Scoring(batch), tokens, rid)
        if len(logits) != len(batch):
            raise Refusal(499, "the request was aborted")
        count(tokens)
        return batch, logits

    @api.post("/v1/embeddings")
    async def embeddings(body: EmbeddingsRequest, request: Request) -> dict[str, Any]:
        batch, logits = await logits_of(body.input, request, uuid.uuid4().hex)
        rows = [{"object": "embedding", "index": i, "embedding": [logit]} for i, logit in enumerate(logits)]
        tokens = sum(map(len, batch))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": rows, "model": body.model, "usage": usage}

    @api.api_route("/classify", methods=["POST", "PUT"])
    @api.api_route("/encode", methods=["POST", "PUT"])
    async def classify(body: ClassifyRequest, request: Request) -> Any:
        started = time.perf_counter()
        if (body.text is None) == (body.input_ids is None):
            raise Refusal(400, "either text or input_ids is needed")
        given = body.text if body.input_ids is None else body.input_ids
        rid = body.rid or uuid.uuid4().hex
        batch, logits = await logits_of(given, request, rid)
        seconds = time.perf_counter() - started
        rows = [_row(rid, ids, logit, seconds) for ids, logit in zip(batch, logits, strict=True)]
        return rows if isinstance(given, list) and not isinstance(given[0], int) else rows[0]

    return api


def _row(rid: str, ids: list[int], logit: float, seconds: float) -> dict[str, Any]:
    meta = {
        "id": rid,
        "finish_reason": {"type": "length", "length": 0},
        "prompt_tokens": len(ids),
        "weight_version": "default",
        "e2e_latency": seconds,
    }
    return {"embedding": [logit], "meta_info": meta}


async def _sequences(given: Any, engine: Scores) -> list[list[int]]:
    """Token ids of one sequence or several, given as ids or text, each of them checked."""
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        given = [given]
    if not given:
        raise Refusal(400, "the input holds no sequence")
    if isinstance(given[0], str):
        given = await asyncio.to_thread(engine.encode, given)
    for index, ids in enumerate(given):
        check_ids(index, ids, engine.max_tokens, engine.vocab_size)
    batch: list[list[int]] = given
    return batch
