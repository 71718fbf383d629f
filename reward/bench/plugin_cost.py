"""What slime's reward costs beyond the server's own time: wall clock, and how long the event loop stood still."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from coderm_slime.errors import CodermError

SAMPLES = 128
REQUEST_S = 0.2


@dataclass(frozen=True)
class PluginCost:
    """Medians over fresh processes.

    Attributes:
        wall_s: seconds for all samples' rewards, the first one's settings, tokenizer and checks included.
        ideal_s: the server's time for one request: all of them fit at the same time.
        loop_late_s: by how much a heartbeat of 5 ms on the same loop was late, in all.
        sleep_late_s: the same where each reward is an `asyncio.sleep` of `ideal_s`.
    """

    wall_s: float
    ideal_s: float
    loop_late_s: float
    sleep_late_s: float

    @property
    def loop_blocked_s(self) -> float:
        """Seconds by which the plugin holds up others on its loop."""
        return self.loop_late_s - self.sleep_late_s


def plugin_cost(model_path: Path, rounds: int, tick: Callable[[], object]) -> PluginCost:
    """Measure `rounds` rollouts, each against a fresh sleep beside it; `tick` is called after each.

    Raises:
        CodermError: a sample was not scored: then the times would mean nothing.
    """
    rewards, sleeps = [], []
    with _slow_server() as port:
        for _ in range(rounds):
            sleeps.append(_one_rollout(None, model_path))
            rewards.append(_one_rollout(port, model_path))
            if rewards[-1]["scored"] != SAMPLES:
                raise CodermError(f"only {rewards[-1]['scored']} of {SAMPLES} samples were scored")
            tick()
    return PluginCost(
        wall_s=median(times["wall_s"] for times in rewards),
        ideal_s=REQUEST_S,
        loop_late_s=median(times["late_s"] for times in rewards),
        sleep_late_s=median(times["late_s"] for times in sleeps),
    )


def _one_rollout(port: int | None, model_path: Path) -> dict[str, Any]:
    asked = json.dumps({"port": port, "model_path": str(model_path), "samples": SAMPLES, "seconds": REQUEST_S})
    command = [sys.executable, "-m", "reward.bench.one_rollout", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CodermError(f"a rollout of the benchmark failed: {done.stderr.strip()[-2000:]}")
    times: dict[str, Any] = json.loads(done.stdout)
    return times


@contextmanager
def _slow_server() -> Iterator[int]:
    command = [sys.executable, "-m", "reward.bench.slow_server", str(REQUEST_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else "")
        finally:
            process.kill()
