"""Killed with SIGKILL at random moments and resumed, a run ends in the data of one that nobody disturbed."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from helpers.curation import config, fake_endpoint, rows, wait_for_outcomes, write_config, write_source
from helpers.processes import ROOT, coderm

PROBLEMS, ROLLOUTS = 6, 6
OUTCOMES = PROBLEMS * (3 + ROLLOUTS)  # steps before the search, then rollouts


def killed_and_undisturbed(folder: Path, kills: int, seed: int) -> tuple[Path, Path, int]:
    """The folders of both runs, and how many kills hit a living process. The FAKE endpoint is never killed."""
    source, hits = write_source(folder, PROBLEMS), 0
    moments = sorted(random.Random(seed).sample(range(1, OUTCOMES - 1), kills))
    with fake_endpoint(seconds=0.05, errors=0.03) as url:
        settings = config(url, search={"num_rollouts": ROLLOUTS, "parallel": 2}, problems_in_flight=3)
        command = ["curate", "run", source, "--config", write_config(folder, settings), "--run"]
        for moment in moments:
            with subprocess.Popen(
                [sys.executable, "-m", "coderm_slime", *map(str, command), str(folder / "killed")],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as process:
                wait_for_outcomes(folder / "killed", moment, process)
                hits += process.poll() is None
                process.kill()
        for name in ("killed", "undisturbed"):
            done = coderm(*command, folder / name)
            assert done.returncode == 0, done.stderr
    return folder / "killed", folder / "undisturbed", hits


def assert_same_and_whole(killed: Path, undisturbed: Path) -> None:
    files = ["trees.jsonl", "failed.jsonl", *(f"data/{path.name}" for path in (undisturbed / "data").glob("*.jsonl"))]
    assert len(files) == 6
    for name in files:
        assert (killed / name).read_text() == (undisturbed / name).read_text(), name
    ended = Counter(row["problem"]["id"] for row in rows(killed / "trees.jsonl"))
    ended.update(row["id"] for row in rows(killed / "failed.jsonl"))
    assert ended == Counter(f"scripted/{number}" for number in range(PROBLEMS))


def test_three_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    killed, undisturbed, hits = killed_and_undisturbed(tmp_path, 3, seed=0)
    assert hits >= 2
    assert_same_and_whole(killed, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    killed, undisturbed, hits = killed_and_undisturbed(tmp_path, 20, seed=1)
    assert hits >= 15
    assert_same_and_whole(killed, undisturbed)
