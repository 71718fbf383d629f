"""A small HTTP server with SGLang's reward-model protocol, for machines without SGLang. A stand-in, not SGLang.

Speaks `/v1/embeddings` (token ids only), `/health`, `/model_info` and `/get_model_info`, with the JSON that SGLang
gives. One thread scores; requests beyond a bound are told to come back (503) rather than kept waiting without end.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Protocol

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field, StrictInt

logger = logging.getLogger(__name__)

MAX_WAITING_TOKENS = 200_000  # minutes of work for a CPU; more would only time out in the queue


class Engine(Protocol):
    """What the server needs of a model; `scoring.engine.RewardEngine` is the real one."""

    max_tokens: int
    vocab_size: int
    architectures: list[str]

    def score(self, batch: list[list[int]]) -> list[float]:
        """Raw logits, in order."""


class EmbeddingsRequest(BaseModel):
    """Body of `/v1/embeddings`: token ids of one sequence or several. Text is refused: `chat.Renderer` makes input."""

    model: str
    input: list[StrictInt] | list[list[StrictInt]] = Field(min_length=1)


def create_app(engine: Engine, model_path: str) -> FastAPI:
    """The application around one engine."""
    scoring = ThreadPoolExecutor(1, thread_name_prefix="coderm-score")
    # A request waits here and not in the executor, so that one whose client left can be dropped.
    turn = asyncio.Semaphore(1)
    waiting_tokens = 0

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        scoring.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(title="coderm stand-in reward server", lifespan=lifespan, openapi_url=None)

    @app.post("/v1/embeddings")
    async def embeddings(body: EmbeddingsRequest, request: Request) -> dict[str, Any]:
        nonlocal waiting_tokens
        batch = _checked(body.input, engine)
        tokens = sum(map(len, batch))
        if waiting_tokens and waiting_tokens + tokens > MAX_WAITING_TOKENS:
            raise HTTPException(503, f"{waiting_tokens} tokens are waiting", headers={"Retry-After": "1"})
        waiting_tokens += tokens
        try:
            async with turn:
                if await request.is_disconnected():
                    raise HTTPException(499, "the client left")
                logits = await asyncio.get_running_loop().run_in_executor(scoring, engine.score, batch)
        finally:
            waiting_tokens -= tokens
        if not all(map(math.isfinite, logits)):
            logger.error("the model gave scores that are not finite: %s", logits)
            raise HTTPException(500, "the model gave a score that is not finite")
        rows = [{"object": "embedding", "index": i, "embedding": [logit]} for i, logit in enumerate(logits)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": rows, "model": body.model, "usage": usage}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/model_info")
    @app.get("/get_model_info")
    async def model_info() -> dict[str, Any]:
        return {"model_path": model_path, "is_generation": False, "architectures": engine.architectures}

    return app


def _checked(sequences: list[int] | list[list[int]], engine: Engine) -> list[list[int]]:
    """The request's sequences, each non-empty, short enough and in the vocabulary; else HTTP 400 names the bad one."""
    batch: list[list[int]] = [s for s in sequences if isinstance(s, list)] or [
        [s for s in sequences if isinstance(s, int)]
    ]
    for index, ids in enumerate(batch):
        if not 0 < len(ids) <= engine.max_tokens:
            raise HTTPException(400, f"input {index} has {len(ids)} tokens; 1 to {engine.max_tokens} are served")
        if not all(0 <= token < engine.vocab_size for token in ids):
            raise HTTPException(400, f"input {index} has a token id outside 0 to {engine.vocab_size - 1}")
    return batch
