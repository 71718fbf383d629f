"""The application around one model."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response

from coderm_slime.scoring.server.common_api import Served, common_api
from coderm_slime.scoring.server.line import Line
from coderm_slime.scoring.server.refusal import answer_errors
from coderm_slime.scoring.server.requests import Metrics, UnderWay
from coderm_slime.scoring.server.reward_api import Scores, Scoring, reward_api, scoring_line
from coderm_slime.scoring.server.text_api import Generates, generation_line, text_api, tiny_generation

_SOME_TOKEN = 1  # any will do to see that the model computes


def reward_app(engine: Scores, served: Served) -> FastAPI:
    """Serve a reward model."""
    line = scoring_line(engine)
    metrics, under_way = Metrics(lambda: line.waiting_tokens), UnderWay()

    async def try_out() -> None:
        await line.submit(Scoring([[_SOME_TOKEN]]), 1)

    app = _app(line, metrics)
    app.include_router(common_api(served, under_way, metrics, try_out))
    app.include_router(reward_api(engine, line, under_way, metrics.tokens.labels("input").inc))
    return app


def language_app(engine: Generates, served: Served) -> FastAPI:
    """Serve a causal language model."""
    line = generation_line(engine)
    metrics, under_way = Metrics(lambda: line.waiting_tokens), UnderWay()

    async def try_out() -> None:
        await line.submit(tiny_generation([_SOME_TOKEN]), 2)

    app = _app(line, metrics)
    app.include_router(common_api(served, under_way, metrics, try_out))
    app.include_router(text_api(engine, served.model_path, line, under_way, metrics.tokens))
    return app


def _app(line: Line[Any, Any], metrics: Metrics) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        serving = asyncio.ensure_future(line.serve())
        yield
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving

    app = FastAPI(title="coderm stand-in for SGLang", lifespan=lifespan, openapi_url=None)
    answer_errors(app)

    @app.middleware("http")
    async def measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        started = time.perf_counter()
        response = await call_next(request)
        known = request.scope.get("route")  # by route and not by path: a scanner's paths would be labels without end
        metrics.saw(getattr(known, "path", "other"), response.status_code, time.perf_counter() - started)
        return response

    return app
