"""Asks servers for scores with the project's own client."""

import asyncio

from coderm_slime.http import HttpClient
from coderm_slime.scoring.client import RewardModel

DEADLINE_S = 60


def score(urls: str | list[str], batch: list[list[int]], attempts: int = 1) -> list[float]:
    """The scores of `batch`, in one call."""

    async def call() -> list[float]:
        async with HttpClient(max_in_flight=8, attempts=attempts, attempt_s=DEADLINE_S) as http:
            return await RewardModel(http, [urls] if isinstance(urls, str) else urls).score(batch, DEADLINE_S)

    return asyncio.run(call())
