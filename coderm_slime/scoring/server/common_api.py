"""The paths that every model has: what is served, whether it is well, aborting, metrics."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from coderm_slime import __version__
from coderm_slime.scoring.server.requests import Metrics, UnderWay


@dataclass(frozen=True)
class Served:
    """What the server says of its model."""

    model_path: str
    is_generation: bool
    architectures: tuple[str, ...]
    max_tokens: int


class AbortRequest(BaseModel):
    """Body of `/abort_request`."""

    rid: str | None = None
    abort_all: bool = False


def common_api(
    served: Served, under_way: UnderWay, metrics: Metrics, try_out: Callable[[], Awaitable[object]]
) -> APIRouter:
    """The router of these paths; `try_out` has the model compute something small, or raises."""
    api = APIRouter()
    info = {
        "model_path": served.model_path,
        "tokenizer_path": served.model_path,
        "is_generation": served.is_generation,
        "architectures": list(served.architectures),
        "weight_version": "default",
        "server": f"coderm serve {__version__}, a stand-in for SGLang",
    }

    @api.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/health_generate")
    async def health_generate() -> dict[str, str]:
        await try_out()
        return {"status": "ok"}

    @api.get("/model_info")
    @api.get("/get_model_info")
    @api.get("/server_info")
    @api.get("/get_server_info")
    async def model_info() -> dict[str, Any]:
        return info | {"served_model_name": served.model_path, "max_req_input_len": served.max_tokens}

    @api.get("/v1/models")
    async def models() -> dict[str, Any]:
        card = {"id": served.model_path, "object": "model", "owned_by": "coderm", "max_model_len": served.max_tokens}
        return {"object": "list", "data": [card]}

    @api.api_route("/flush_cache", methods=["GET", "POST"])
    async def flush_cache() -> PlainTextResponse:
        return PlainTextResponse("There is no cache to flush.\n")

    @api.post("/abort_request")
    async def abort_request(body: AbortRequest) -> dict[str, str]:
        if body.rid is not None or body.abort_all:
            under_way.abort(None if body.abort_all else body.rid)
        return {"status": "ok"}

    @api.get("/metrics")
    async def show_metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return api
