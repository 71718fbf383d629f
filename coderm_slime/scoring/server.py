"""A small HTTP server with SGLang's reward-model protocol, for machines without SGLang. A stand-in, not SGLang.

Speaks `/v1/embeddings` (token ids only), `/health`, `/model_info` and `/get_model_info`, with the JSON that SGLang
gives. One thread scores; requests beyond a bound are told to come back (503) rather than kept waiting without end.
"""

import asyncio
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field, StrictInt

logger = logging.getLogger(__name__)

_MAX_WAITING = 256  # requests; at a CPU's few texts a second, more would only time out in the queue


class Engine(Protocol):
    """What the server needs of a model; `scoring.engine.RewardEngine` is the real one."""

    max_tokens: int
    vocab_size: int
    architectures: list[str]

    def score(self, batch: list[list[int]]) -> list[float]:
        """Raw logits, in order."""


class EmbeddingsRequest(BaseModel):
    """Body of `/v1/embeddings`: one sequence of token ids or several. Text is refused: only `chat.Renderer` makes
    input.
    """

    model: str
    input: list[StrictInt] | list[list[StrictInt]] = Field(min_length=1)


def create_app(engine: Engine, model_path: str) -> FastAPI:
    """The application around one engine."""
    app = FastAPI(title="coderm stand-in reward server", docs_url=None, redoc_url=None, openapi_url=None)
    scoring = ThreadPoolExecutor(1, thread_name_prefix="coderm-score")
    waiting = 0

    @app.post("/v1/embeddings")
    async def embeddings(request: EmbeddingsRequest) -> dict[str, Any]:
        nonlocal waiting
        batch = _checked(request.input, engine)
        if waiting >= _MAX_WAITING:
            raise HTTPException(503, f"{waiting} requests are waiting", headers={"Retry-After": "1"})
        waiting += 1
        try:
            logits = await asyncio.get_running_loop().run_in_executor(scoring, engine.score, batch)
        finally:
            waiting -= 1
        if not all(map(math.isfinite, logits)):
            logger.error("the model gave scores that are not finite: %s", logits)
            raise HTTPException(500, "the model gave a score that is not finite")
        rows = [{"object": "embedding", "index": i, "embedding": [logit]} for i, logit in enumerate(logits)]
        tokens = sum(map(len, batch))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": rows, "model": request.model, "usage": usage}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/model_info")
    @app.get("/get_model_info")
    async def model_info() -> dict[str, Any]:
        return {"model_path": model_path, "is_generation": False, "architectures": engine.architectures}

    return app


def _checked(sequences: list[int] | list[list[int]], engine: Engine) -> list[list[int]]:
    """The request's sequences, each non-empty, short enough and in the vocabulary; else HTTP 400 that says which is
    not.
    """
    batch: list[list[int]] = [s for s in sequences if isinstance(s, list)] or [
        [s for s in sequences if isinstance(s, int)]
    ]
    for index, ids in enumerate(batch):
        if not 0 < len(ids) <= engine.max_tokens:
            raise HTTPException(400, f"input {index} has {len(ids)} tokens; 1 to {engine.max_tokens} are served")
        if not all(0 <= token < engine.vocab_size for token in ids):
            raise HTTPException(400, f"input {index} has a token id outside 0 to {engine.vocab_size - 1}")
    return batch
