"""What the ranks of the training tests do, run by torchrun: one training after the other, and, where told, die.

python train_ranks.py PORT,... JOB...: each JOB is CONFIG or CONFIG:die-in-step:N or CONFIG:die-in-save:N, by which the
first rank kills itself with SIGKILL before it applies the gradients of its N-th step, or while its N-th checkpoint is
written but not yet named. Each job meets at a port of its own: torchrun's own meeting place remembers the job before.
"""

import os
import signal
import sys
from pathlib import Path

from rm_train import checkpoint, parallel, run
from rm_train.config import load_config


class Silent:
    """Nobody looks on."""

    def say(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    def at(self, part: float, line: str) -> None:
        pass


def die_at(module: object, name: str, count: int) -> None:
    """Let the `count`-th call of a function kill the first rank instead."""
    real, calls = getattr(module, name), []

    def counted(*arguments: object, **options: object) -> object:
        calls.append(None)
        if len(calls) == count and os.environ["RANK"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    setattr(module, name, counted)


if __name__ == "__main__":
    ports, *jobs = sys.argv[1:]
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    for port, job in zip(ports.split(","), jobs, strict=True):
        os.environ["MASTER_PORT"] = port
        path, _, death = job.partition(":")
        kind, _, number = death.partition(":")
        if kind == "die-in-step":
            die_at(parallel, "clip_gradients", int(number))
        elif kind == "die-in-save":
            die_at(checkpoint, "_publish", int(number))
        run.train(load_config(Path(path)), Silent())
