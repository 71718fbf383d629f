"""Asks a server for scores with the project's own client."""

import asyncio

from coderm_slime.http import HttpClient
from coderm_slime.scoring.client import RewardModel


def score(url: str, batch: list[list[int]], attempts: int = 1) -> list[float]:
    async def call() -> list[float]:
        async with HttpClient(max_in_flight=8, attempts=attempts, deadline_s=60) as http:
            return await RewardModel(http, [url]).score(batch)

    return asyncio.run(call())
