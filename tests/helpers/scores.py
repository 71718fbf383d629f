"""Asks servers for scores with the project's own client."""

import asyncio

import aiohttp

from coderm_slime.http import HttpClient, Server
from coderm_slime.scoring.client import RewardModel
from coderm_slime.scoring.probe import Probe

DEADLINE_S = 60
KNOWN_INPUTS = ((5, 6, 7, 8), (9, 10))  # of different lengths: the fault server scores by length


def score(urls: str | list[str], batch: list[list[int]], attempts: int = 1, **model: object) -> list[float]:
    """The scores of `batch`, asked for at the same time."""

    async def call() -> list[float]:
        servers = [Server(url, 8) for url in ([urls] if isinstance(urls, str) else urls)]
        async with HttpClient(attempts=attempts, attempt_s=DEADLINE_S) as http:
            client = RewardModel(http, servers, Probe(KNOWN_INPUTS), **model)
            try:
                return await asyncio.gather(*(client.score(ids, DEADLINE_S) for ids in batch))
            finally:
                await client.close()

    return asyncio.run(call())


def requests_seen(url: str) -> int:
    """How many requests for scores a fault server has had."""

    async def call() -> int:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/count") as response:
            return (await response.json())["requests"]

    return asyncio.run(call())
