"""One process's run against the FAKE endpoint, measured from within; takes and prints JSON."""

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from coderm_slime.llm import LlmEndpoint
from coderm_slime.settings import load_settings
from mcts.bench.endpoint import MAX_TOKENS
from mcts.config import CurateConfig, Sampling, Steps
from mcts.engine.desk import Tally
from mcts.engine.run import Run, Source
from mcts.engine.watching import every

_LOOK_S = 0.05
_KIB = 1024


@dataclass(frozen=True)
class Shard:
    """What one process is to do."""

    folder: str
    source: str
    url: str
    in_flight: int
    rollouts: int


@dataclass
class Measured:
    """What a run cost.

    Attributes:
        none_waits_at: when the last problem was begun, by the machine's monotonic clock.
        cpu_s: of this process, from reading the problems to writing the trees; imports and the sandbox's own
            processes are not in it.
        rollouts, finished: results.
        rss_mb: resident memory each half second.
    """

    none_waits_at: float
    cpu_s: float
    rollouts: int
    finished: int
    rss_mb: list[float]


def config_for(url: str, in_flight: int, rollouts: int) -> CurateConfig:
    """A run's configuration against the FAKE endpoint."""
    steps = Steps(**{step.value: Sampling(max_tokens=tokens) for step, tokens in MAX_TOKENS.items()})
    endpoint = LlmEndpoint(url=url, model="scripted", max_in_flight=in_flight)
    values = {"endpoints": [endpoint.model_dump()], "steps": steps.model_dump(), "search": {"num_rollouts": rollouts}}
    return CurateConfig.model_validate(values)


def measure(shard: Shard) -> Measured:
    """Run one shard to its end."""
    config = config_for(shard.url, shard.in_flight, shard.rollouts)
    run = Run(Path(shard.folder), config, load_settings().sandbox, source=Source(Path(shard.source), "plain"))
    seen = Measured(0.0, 0.0, 0, 0, [])

    @contextlib.contextmanager
    def watch(tally: Tally) -> Iterator[None]:
        turns = itertools.count()

        def look() -> None:
            if not seen.none_waits_at and not tally.waiting:
                seen.none_waits_at = time.monotonic()
            if next(turns) % 10 == 0:
                seen.rss_mb.append(_rss_mb())

        try:
            with every(_LOOK_S, look):
                yield
        finally:
            seen.rollouts, seen.finished = tally.steps["rollout"], tally.ended["finished"]

    began = time.process_time()
    run(watch)
    seen.cpu_s = time.process_time() - began
    return seen


def _rss_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _KIB
    return 0.0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measure(Shard(**json.loads(sys.argv[1]))))))
