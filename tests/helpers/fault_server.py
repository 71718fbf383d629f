"""A FAKE reward server that misbehaves on purpose: `fault_server.py MODE` prints its URL and serves.

In mode `ok` the score of a sequence is its length / 100, so a test can tell a right score from a misplaced one. A mode
`A-then-B` answers the first request by A and the others by B; `A-10-then-B` answers ten by A. GET /taken hands over
the last sequences that were asked for since it was called before, known inputs included.
"""

import asyncio
import os
import signal
import sys
from collections import deque

from aiohttp import web


def _row(index: int, logit: object) -> dict:
    return {"object": "embedding", "index": index, "embedding": [logit]}


UNLUCKY = 13  # the length that modes `unlucky` and `refusing` cannot stand
_TEXTS = {
    "nan": '{"data": [{"object": "embedding", "index": 0, "embedding": [NaN]}]}',
    "huge": '{"data": [{"object": "embedding", "index": 0, "embedding": [1' + "0" * 400 + "]}]}",
    "digits": '{"data": [{"object": "embedding", "index": 0, "embedding": [' + "1" * 5000 + "]}]}",
    "nested": "[" * 100_000,
}


class FaultServer:
    def __init__(self, mode: str) -> None:
        first, _, self.later = mode.partition("-then-")
        self.first, _, count = first.partition("-")
        self.first_requests = int(count or 1)
        self.requests = 0
        self.taken: deque[list[int]] = deque(maxlen=64)

    def mode_now(self) -> str:
        return self.later if self.later and self.requests >= self.first_requests else self.first

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        batch = body["input_ids"] if request.path == "/classify" else body["input"]
        mode = self.mode_now()
        self.requests += 1
        self.taken.extend(batch)
        rows = [_row(index, len(ids) / 100) for index, ids in enumerate(batch)]
        if mode == "busy":
            return web.Response(status=503, headers={"Retry-After": "1"})
        if mode == "auth" and request.headers.get("Authorization") != "Bearer secret":
            return web.Response(status=401)
        if mode in _TEXTS:
            return web.Response(text=_TEXTS[mode], content_type="application/json")
        if mode.isdigit():
            return web.Response(status=int(mode), text="told to fail")
        if mode == "html":
            return web.Response(text="<html>a proxy's page</html>", content_type="text/html")
        if mode == "hang":
            await asyncio.sleep(3600)
        if mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "endless":
            return await self.endless(request)
        if mode == "drop":
            request.transport.close()
        if mode == "language" or (mode == "refusing" and any(len(ids) == UNLUCKY for ids in batch)):
            return web.Response(status=400, text="not for this model")
        if mode == "flat":
            rows = [_row(row["index"], 0.5) for row in rows]
        if mode == "other":
            rows = [_row(row["index"], row["embedding"][0] + 1) for row in rows]
        if mode == "unlucky":
            rows = [
                _row(row["index"], float("nan") if len(batch[row["index"]]) == UNLUCKY else row["embedding"][0])
                for row in rows
            ]
        if mode == "slow":
            await asyncio.sleep(0.2)
        if mode == "short":
            rows = rows[:-1]
        if mode == "swapped":
            rows = [{**row, "index": len(rows) - 1 - row["index"]} for row in rows]
        if mode == "wide":
            rows = [{**row, "embedding": [0.1, 0.2]} for row in rows]
        if mode == "text":
            rows = [_row(row["index"], "0.5") for row in rows]
        return web.json_response(rows if request.path == "/classify" else {"data": rows})

    async def endless(self, request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        while True:
            await reply.write(b" " * 2**20)

    async def info(self, _: web.Request) -> web.Response:
        if self.mode_now() == "shy":
            await asyncio.sleep(3600)
        return web.json_response({"is_generation": self.mode_now() == "language"})

    async def count(self, _: web.Request) -> web.Response:
        return web.json_response({"requests": self.requests})

    async def take(self, _: web.Request) -> web.Response:
        taken = list(self.taken)
        self.taken.clear()
        return web.json_response(taken)


def app_for(mode: str) -> web.Application:
    server = FaultServer(mode)
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/embeddings", server.embeddings)
    app.router.add_post("/classify", server.embeddings)
    app.router.add_get("/model_info", server.info)
    app.router.add_get("/count", server.count)
    app.router.add_get("/taken", server.take)
    return app


if __name__ == "__main__":
    from serving import serve  # beside this script

    asyncio.run(serve(app_for(sys.argv[1])))
