"""One rank of a training run: `torchrun -m rm_train CONFIG`. `coderm train-rm` starts them all.

Without torchrun it is a run of one rank. What a user can mend ends in one line and exit code 1; torchrun then ends the
other ranks.
"""

import logging
import os
import sys
import warnings
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from coderm_slime.errors import CodermError
from rm_train.config import load_config


class _Shown:
    """A bar and lines, on the first rank."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console, self._bar = console, bar
        self._task = bar.add_task("starting", total=1.0)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, soft_wrap=True, markup=False, highlight=False)

    def at(self, part: float, line: str) -> None:
        """The bar, and the latest numbers beside it."""
        self._bar.update(self._task, completed=part, description=line)


class _Silent:
    """On the other ranks."""

    def say(self, line: str) -> None:
        """Nothing."""

    def at(self, part: float, line: str) -> None:
        """Nothing."""


def main() -> None:
    """Train what the configuration in the first argument says."""
    if len(sys.argv) != 2:
        sys.exit("usage: torchrun ... -m rm_train CONFIG")
    logging.basicConfig(level=logging.WARNING)
    # What megatron-core says about fused kernels that are not installed, and torch about megatron-core's use of it.
    warnings.filterwarnings("ignore", module=r"megatron\..*|torch\.distributed\..*")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    console = Console(stderr=True)
    try:
        _train(Path(sys.argv[1]), console)
    except (CodermError, OSError) as error:
        console.print(f"error: {error}", soft_wrap=True, markup=False, highlight=False)
        sys.stderr.flush()
        os._exit(1)  # not `sys.exit`: leaving the process group would wait for ranks that wait for this one


def _train(path: Path, console: Console) -> None:
    config = load_config(path)
    from rm_train.run import train  # torch and Megatron, once the configuration is known to be good

    if os.environ.get("RANK", "0") != "0":
        train(config, _Silent())
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        train(config, _Shown(console, bar))


if __name__ == "__main__":
    main()
