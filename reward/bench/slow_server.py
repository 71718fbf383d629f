"""A FAKE reward server: every request takes so many seconds, any number at a time. `python -m … SECONDS`.

It stands for a GPU server with room to spare, so that what is measured is the plugin's own cost.
"""

import asyncio
import sys
import zlib

from aiohttp import web


def _score(ids: list[int]) -> float:
    return zlib.crc32(repr(ids).encode()) / 2**32


async def _serve(seconds: float) -> None:
    async def embeddings(request: web.Request) -> web.Response:
        arrived = asyncio.get_running_loop().time()
        batch = (await request.json())["input"]
        rows = [{"object": "embedding", "index": i, "embedding": [_score(ids)]} for i, ids in enumerate(batch)]
        await asyncio.sleep(arrived + seconds - asyncio.get_running_loop().time())
        return web.json_response({"data": rows})

    async def info(_: web.Request) -> web.Response:
        return web.json_response({"is_generation": False})

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/embeddings", embeddings)
    app.router.add_get("/model_info", info)
    app.router.add_get("/get_model_info", info)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
