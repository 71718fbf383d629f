"""Tokens a second over HTTP beside the same model in process, in one run. Needs torch."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from coderm_slime.chat import Renderer
from coderm_slime.http import HttpClient, Server
from coderm_slime.scoring.client import RewardModel
from coderm_slime.scoring.probe import probe_for, read_card
from coderm_slime.scoring.standin import standin

BATCHES = (1, 8, 16, 32)
_DEADLINE_S = 3600.0


@dataclass(frozen=True)
class Throughput:
    """Medians of tokens a second.

    Attributes:
        inprocess: by batch size, sequences sorted by length.
        served: by the client that slime uses, its checks of the server included.
    """

    served: float
    inprocess: dict[int, float]

    @property
    def ratio(self) -> float:
        """Served over the best in-process batch size."""
        return self.served / max(self.inprocess.values())


def throughput(
    model: Path, exchanges: Sequence[tuple[str, str]], dtype: str, rounds: int, tick: Callable[[], object]
) -> Throughput:
    """Score the exchanges in process and over HTTP by turns, `rounds` times; `tick` is called after each."""
    from coderm_slime.scoring.server.reward_engine import RewardEngine

    renderer = Renderer.load(str(model))
    batch = sorted((renderer.render(*exchange) or [] for exchange in exchanges), key=len)
    tokens = sum(map(len, batch))
    engine = RewardEngine(model, dtype)
    inprocess: dict[int, list[float]] = {size: [] for size in BATCHES}
    served = []
    engine.score(batch[:2])
    with standin(model, dtype) as url:
        asyncio.run(_score(url, model, renderer, batch[:2]))  # neither side's first forward passes are what is asked
        for _ in range(rounds):
            for size, speeds in inprocess.items():
                began = time.perf_counter()
                for start in range(0, len(batch), size):
                    engine.forward(batch[start : start + size])
                speeds.append(tokens / (time.perf_counter() - began))
            began = time.perf_counter()
            asyncio.run(_score(url, model, renderer, batch))
            served.append(tokens / (time.perf_counter() - began))
            tick()
    return Throughput(median(served), {size: median(speeds) for size, speeds in inprocess.items()})


async def _score(url: str, model: Path, renderer: Renderer, batch: Sequence[Sequence[int]]) -> None:
    probe = probe_for(renderer, read_card(str(model)))
    async with HttpClient(attempts=1, attempt_s=_DEADLINE_S) as http:
        client = RewardModel(http, [Server(url, 64)], probe)
        try:
            await asyncio.gather(*(client.score(ids, _DEADLINE_S) for ids in batch))
        finally:
            await client.close()
