"""The sandbox over HTTP, in SandboxFusion's form: a bounded queue, bounded bodies, a token if one is set.

    POST /run_code    see `coderm_slime.sandbox.fusion`
    GET  /health      whether it serves; needs no token
    GET  /v1/ping     "pong", as SandboxFusion says it
    GET  /info        this server's own: version, workers, layers

More requests than workers and places in the queue get 503 with Retry-After before their body is read, and have run
nothing. A client that hangs up ends its run. Not here: other languages, Jupyter, data sets, files fetched after a run.
"""

import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from aiohttp import web

from coderm_slime import __version__
from coderm_slime.sandbox.backend import SandboxBackend
from coderm_slime.sandbox.fusion import RUN_PATH, failure_for, program_in, reply_for
from coderm_slime.sandbox.program import SandboxError

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware

MAX_BODY_BYTES = 32 << 20  # reading so much JSON holds up the event loop for a third of a second
_RETRY_AFTER_S = 1
_DETAIL_CHARS = 400  # an error may show a value of any size
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def sandbox_app(sandbox: SandboxBackend, queue: int, token: str | None) -> web.Application:
    """The application around `sandbox`, which it opens and closes.

    Args:
        queue: requests that may wait while all workers are busy.
        token: what the Authorization header must bear; None asks for none.
    """
    app = web.Application(middlewares=[_errors_as_json, _guard(token)], client_max_size=MAX_BODY_BYTES)
    service = _Service(sandbox, queue)
    app.cleanup_ctx.append(service.opened)
    app.router.add_post(RUN_PATH, service.run_code)
    app.router.add_get("/info", service.info)
    app.router.add_get("/v1/ping", _ping)
    app.router.add_get("/health", _health)
    return app


class _Service:
    def __init__(self, sandbox: SandboxBackend, queue: int) -> None:
        self._sandbox, self._queue = sandbox, queue
        self._under_way = 0

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        async with self._sandbox:
            yield

    async def run_code(self, request: web.Request) -> web.Response:
        if self._under_way >= self._sandbox.size + self._queue:
            raise web.HTTPServiceUnavailable(
                text=f"{self._under_way} runs are under way or wait, as many as may; nothing was run",
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )
        self._under_way += 1
        try:
            return await self._run(request)
        finally:
            self._under_way -= 1

    async def _run(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":  # a page in a browser cannot send this one unasked
            raise web.HTTPBadRequest(text="the Content-Type must be application/json")
        try:
            program = program_in(json.loads(await request.read()))
        except (SandboxError, ValueError, RecursionError) as error:
            raise web.HTTPBadRequest(text=f"bad request: {error}"[:_DETAIL_CHARS]) from error
        try:
            return web.json_response(reply_for(await self._sandbox.run(program)))
        except SandboxError as error:
            return web.json_response(failure_for(error))

    async def info(self, _: web.Request) -> web.Response:
        layers = [asdict(layer) for layer in self._sandbox.layers]
        own = {"server": "coderm sandbox serve", "version": __version__}
        return web.json_response({**own, "workers": self._sandbox.size, "queue": self._queue, "layers": layers})


async def _ping(_: web.Request) -> web.Response:
    return web.json_response("pong")


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPError as error:
        kept = {name: value for name, value in error.headers.items() if name in ("Retry-After", "Allow")}
        return web.json_response({"detail": error.text}, status=error.status, headers=kept)


def _guard(token: str | None) -> "Middleware":
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if token and request.path != "/health" and not hmac.compare_digest(given, expected):
            raise web.HTTPUnauthorized(text="the Authorization header does not bear this server's token")
        return await handler(request)

    return guard
