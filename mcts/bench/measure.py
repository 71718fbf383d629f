"""How full an endpoint of stated capacity is kept: by one engine with a work queue, and by static shards.

Utilization is the endpoint's busy slot-seconds over its slots times the time, from the first call until no problem
waits to be begun (with shards: in any of them); whole-run utilization goes on until the last call has ended. The
static version is the same engine in four processes, each with a quarter of the problems and of the slots from the
start.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from coderm_slime.errors import CodermError
from mcts.bench.one_run import Measured, Shard
from mcts.bench.scripted import scripted_problem

SLOTS, SHARDS = 64, 4
_WARM_UP = 0.25  # of the run: buffers and caches fill; growth is counted from there
_Call = tuple[float, float, int]


@dataclass(frozen=True)
class CurateFigures:
    """The figures of `coderm bench curate`.

    Attributes:
        utilization: None where there were no more problems than are under way at once: none waited.
        rss_growth_mb: median resident memory of the last quarter of the run over that of the second one.
        calls, failed_calls: that the endpoint got in the first version.
    """

    utilization: float | None
    whole_run_utilization: float | None
    static_shard_utilization: float | None
    static_shard_whole_run_utilization: float | None
    own_cpu_ms_per_rollout: float
    rss_growth_mb: float
    wall_s: float
    static_shard_wall_s: float
    rollouts: int
    trees: int
    calls: int
    failed_calls: int


def measure(problems: int, rollouts: int, seconds: float, tick: Callable[[], object]) -> CurateFigures:
    """Run both versions, one after the other; `tick` is called after each.

    Raises:
        CodermError: a run failed.
    """
    numbers = range(problems)
    calls, (queue,) = _version([numbers], SLOTS, rollouts, seconds)
    tick()
    static_calls, static = _version(
        [numbers[shard::SHARDS] for shard in range(SHARDS)], SLOTS // SHARDS, rollouts, seconds
    )
    tick()
    return CurateFigures(
        utilization=utilization_of(calls, queue.none_waits_at),
        whole_run_utilization=utilization_of(calls, _end(calls)),
        static_shard_utilization=utilization_of(static_calls, max(one.none_waits_at for one in static)),
        static_shard_whole_run_utilization=utilization_of(static_calls, _end(static_calls)),
        own_cpu_ms_per_rollout=1000 * queue.cpu_s / queue.rollouts,
        rss_growth_mb=_growth(queue.rss_mb),
        wall_s=_end(calls) - _begin(calls),
        static_shard_wall_s=_end(static_calls) - _begin(static_calls),
        rollouts=queue.rollouts,
        trees=queue.finished,
        calls=len(calls),
        failed_calls=sum(status != 200 for *_, status in calls),
    )


def _version(
    shards: Sequence[Sequence[int]], in_flight: int, rollouts: int, seconds: float
) -> tuple[list[_Call], list[Measured]]:
    with tempfile.TemporaryDirectory() as scratch, fake_endpoint(seconds=seconds, slots=SLOTS) as url:
        processes = []
        for index, numbers in enumerate(shards):
            source = Path(scratch, f"{index}.jsonl")
            source.write_text("".join(scripted_problem(one).model_dump_json() + "\n" for one in numbers))
            shard = Shard(str(Path(scratch, f"run{index}")), str(source), url, in_flight, rollouts)
            command = [sys.executable, "-m", "mcts.bench.one_run", json.dumps(asdict(shard))]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        ends = [process.communicate() for process in processes]
        for process, (_, errors) in zip(processes, ends, strict=True):
            if process.returncode:
                raise CodermError(f"a run of the benchmark failed: {errors.strip()[-2000:]}")
        with urllib.request.urlopen(f"{url}/log") as reply:
            calls: list[_Call] = json.load(reply)
    return calls, [Measured(**json.loads(out)) for out, _ in ends]


@contextmanager
def fake_endpoint(**script: Any) -> Iterator[str]:
    """The URL of a FAKE endpoint in a process of its own, see `endpoint.Script`."""
    command = [sys.executable, "-m", "mcts.bench.endpoint", json.dumps(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.kill()


def _begin(calls: Sequence[_Call]) -> float:
    return min(began for began, _, _ in calls)


def _end(calls: Sequence[_Call]) -> float:
    return max(ended for _, ended, _ in calls)


def utilization_of(calls: Sequence[_Call], until: float) -> float | None:
    """Busy slot-seconds over those there were, from the first call until `until`; None if no call began before it."""
    time = until - _begin(calls)
    busy = sum(max(0.0, min(ended, until) - began) for began, ended, _ in calls)
    return busy / (SLOTS * time) if time > 0 else None


def _growth(rss_mb: Sequence[float]) -> float:
    quarter = max(int(len(rss_mb) * _WARM_UP), 1)
    second, last = sorted(rss_mb[quarter : 2 * quarter] or rss_mb), sorted(rss_mb[-quarter:])
    return last[len(last) // 2] - second[len(second) // 2]
