"""How the FAKE servers run: each is a script, whose first line of output is its URL."""

import asyncio
import sys

from aiohttp import web


async def serve(app: web.Application) -> None:
    """Serve on a free port of 127.0.0.1 until killed."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()
