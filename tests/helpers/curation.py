"""Curation runs against the FAKE endpoint of `mcts.bench`, in this process or as real commands that can be killed."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from helpers.processes import server_process
from helpers.sandboxed import settings as sandbox_settings
from mcts.bench.one_run import config_for
from mcts.bench.scripted import scripted_problem
from mcts.config import CurateConfig
from mcts.engine.course import Stage
from mcts.engine.journal import Journal
from mcts.engine.rows import JournalError
from mcts.engine.run import Report, Run, Source


@contextlib.contextmanager
def fake_endpoint(**script: Any) -> Iterator[str]:
    """The URL of a FAKE endpoint, see `mcts.bench.endpoint`; quick unless told otherwise."""
    command = [sys.executable, "-m", "mcts.bench.endpoint", json.dumps({"seconds": 0.01, **script})]
    with server_process(command, r"(http://\S+)") as (url, _):
        yield url


def config(url: str, **values: Any) -> CurateConfig:
    """A run's configuration against the FAKE endpoint: few rollouts, and no waiting for what does not answer."""
    base = config_for(url, in_flight=8, rollouts=4).model_dump(mode="json")
    return CurateConfig.model_validate({**base, "attempt_s": 20.0, "execution_s": 10.0, **values})


def write_source(folder: Path, problems: int) -> Path:
    """Scripted problems as a file."""
    path = folder / "problems.jsonl"
    path.write_text("".join(scripted_problem(number).model_dump_json() + "\n" for number in range(problems)))
    return path


def write_config(folder: Path, config: CurateConfig) -> Path:
    """A configuration as a file."""
    path = folder / "curate.yaml"
    path.write_text(yaml.safe_dump({"curate": config.model_dump(mode="json")}))
    return path


def curate(folder: Path, config: CurateConfig, source: Path | None, stage: str = "SEARCH", **options: Any) -> Report:
    """A run in this process."""
    taken = Source(source, "plain") if source else None
    run = Run(folder, config, sandbox_settings(2), until=Stage[stage], source=taken, **options)
    return run(lambda tally: contextlib.nullcontext())


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for_outcomes(folder: Path, count: int, process: subprocess.Popen) -> int:
    """Wait until the journal has so many results, or the process ends; how many there are."""
    while True:
        ended = process.poll() is not None
        if (folder / "run.sqlite").exists():
            try:
                with Journal(folder, reading=True) as journal:
                    found = journal.outcomes().total()
            except JournalError:  # it is being made
                found = 0
            if found >= count or ended:
                return found
        if ended:
            return 0
        time.sleep(0.01)
