"""One rollout's rewards in a fresh process, timed: `python -m reward.bench.one_rollout '{"port": ..., ...}'`.

With `port` null the reward is an `asyncio.sleep` of `seconds`: what the event loop itself is late by.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from reward.bench.workload import exchanges
from reward.coderm_nt import reward  # before the clock: slime imports it when it starts
from reward.failures import POST_PROCESS

_BEAT_S = 0.005


async def _late_s(stop: asyncio.Event) -> float:
    """By how much a heartbeat of 5 ms is late, summed up until `stop`."""
    late = 0.0
    while not stop.is_set():
        began = time.perf_counter()
        await asyncio.sleep(_BEAT_S)
        late += time.perf_counter() - began - _BEAT_S
    return late


async def _timed(give: Callable[[Any], Awaitable[Any]], samples: list[Any]) -> dict[str, float]:
    stop = asyncio.Event()
    beating = asyncio.ensure_future(_late_s(stop))
    await asyncio.sleep(0)
    began = time.perf_counter()
    await asyncio.gather(*map(give, samples))
    wall_s = time.perf_counter() - began
    stop.set()
    return {"wall_s": wall_s, "late_s": await beating}


async def _main(port: int | None, model_path: str, samples: int, seconds: float) -> dict[str, float]:
    made = [
        SimpleNamespace(
            prompt=[{"role": "user", "content": problem}],
            response=response,
            metadata={},
            status="completed",
            remove_sample=False,
        )
        for problem, response in exchanges(samples)
    ]
    if port is None:
        return await _timed(lambda _: asyncio.sleep(seconds), made)
    rm = {"urls": [f"http://127.0.0.1:{port}"], "model_path": model_path, "cache_items": 0}
    args = SimpleNamespace(  # the policy's folder is always named by slime
        coderm={"rm": rm}, custom_reward_post_process_path=POST_PROCESS, hf_checkpoint=model_path
    )
    times = await _timed(lambda sample: reward(args, sample), made)
    reasons = [sample.metadata["coderm"]["reason"] for sample in made]
    return times | {"scored": reasons.count("scored")}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_main(**json.loads(sys.argv[1])))) + "\n")
