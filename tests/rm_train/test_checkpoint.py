"""A run that stops goes on where it stopped: on the same ranks, on others, and after it was killed while it saved."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helpers import ranks, tiny

# megatron-core, too, of the extra `rm`; and most tests start ranks twice
pytestmark = [pytest.mark.torch, pytest.mark.timeout(600)]

DTYPES = ("float32", "bfloat16")
SAVED, END = 2, 4
Losses = dict[int, float]


class Runs:
    """Runs of checkpoint_ranks.py on one model, in one or more kinds of numbers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = tiny.reward_model(folder / "model", "qwen3", spread=8.0, vocab_size=313)

    def jobs(self, name: str, tp: int, dtypes: tuple[str, ...], **options: Any) -> list[dict[str, Any]]:
        common = {"tp": tp, "model": str(self.model), "until": END, "save_at": [SAVED], **options}
        return [
            {
                **common,
                "dtype": dtype,
                "root": str(self.root(name, dtype)),
                "losses": str(self.folder / f"{name}-{dtype}.json"),
            }
            for dtype in dtypes
        ]

    def root(self, name: str, dtype: str = "float32") -> Path:
        return self.folder / name / dtype

    def run(
        self, name: str, tp: int, processes: int, dtypes: tuple[str, ...] = ("float32",), **options: Any
    ) -> dict[str, Losses]:
        done = ranks.launch(processes, "checkpoint_ranks.py", json.dumps(self.jobs(name, tp, dtypes, **options)))
        assert done.returncode == 0, done.stderr[-4000:]
        read = {dtype: json.loads((self.folder / f"{name}-{dtype}.json").read_text()) for dtype in dtypes}
        return {dtype: {int(step): loss for step, loss in losses.items()} for dtype, losses in read.items()}

    def copy(self, old: str, new: str) -> None:
        shutil.copytree(self.folder / old, self.folder / new)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def straight(runs: Runs) -> dict[str, Losses]:
    """Four steps at tensor parallel 2; a checkpoint after two."""
    return runs.run("straight", tp=2, processes=2, dtypes=DTYPES)


def children_of(process: int) -> str:
    return Path(f"/proc/{process}/task/{process}/children").read_text()


def test_training_without_a_stop_changes_the_loss(straight: dict[str, Losses]) -> None:
    for losses in straight.values():
        assert list(losses) == [0, 1, 2, 3]
        assert abs(losses[3] - losses[0]) > 0.1, "else the tests below compare nothing"


def test_a_checkpoint_goes_from_two_ranks_to_one_and_on_to_two_by_two_and_as_many_stay_as_asked_for(
    runs: Runs, straight: dict[str, Losses]
) -> None:
    expected = straight["float32"]
    runs.copy("straight", "one")
    one = runs.run("one", tp=1, processes=1, until=3, save_at=[3])["float32"]
    assert one == pytest.approx({2: expected[2]}, abs=5e-5)
    four = runs.run("one", tp=2, processes=4, save_at=[4])["float32"]
    assert four == pytest.approx({3: expected[3]}, abs=5e-5)
    names = sorted(path.name for path in runs.root("one").glob("step-*"))
    assert names == ["step-00000003", "step-00000004"], "two are kept of three"


def test_a_run_killed_while_it_saves_leaves_the_last_good_checkpoint_and_goes_on_as_if_nothing_had_happened(
    runs: Runs, straight: dict[str, Losses]
) -> None:
    from rm_train import checkpoint

    runs.copy("straight", "killed")
    mark = runs.folder / "mark"
    jobs = runs.jobs("killed", 1, ("float32",), save_at=[3], hang_in_save=3, mark=str(mark))
    script = str(ranks.ROOT / "tests" / "rm_train" / "checkpoint_ranks.py")
    with subprocess.Popen([sys.executable, script, json.dumps(jobs)], env=ranks.environment()) as process:
        try:
            while not mark.exists():
                assert process.poll() is None, "it ended before it saved"
                time.sleep(0.05)  # pytest's own limit bounds it
            assert not children_of(process.pid), "what it had started would outlive it"
        finally:
            process.kill()
    root = runs.root("killed")
    left = list(root.glob(".*.partial/*.distcp"))
    assert left, "the checkpoint was half-way: its tensors are written, its name is not given"
    left[0].write_bytes(left[0].read_bytes()[:100])  # as a kill some moments earlier would have left it
    assert checkpoint.latest(root) == root / "step-00000002"
    again = runs.run("killed", tp=2, processes=2, dtypes=DTYPES, save_at=[3])  # the ranks that wrote it
    for dtype, losses in again.items():
        assert losses == pytest.approx({step: straight[dtype][step] for step in (2, 3)}, abs=1e-6), dtype
    assert checkpoint.latest(root) == root / "step-00000003"
    assert not list(root.glob(".*.partial"))


def test_what_stands_beside_the_tensors_is_json(runs: Runs, straight: dict[str, Losses]) -> None:
    from rm_train import checkpoint

    saved = checkpoint.read(checkpoint.latest(runs.root("straight")))
    assert (saved.step, saved.state) == (2, {"place": 20})
    assert saved.meta["data"] == "abc"
    assert saved.meta["shape"]["vocab"] == 313
    assert saved.meta["version"]


def test_a_damaged_checkpoint_and_one_of_another_model_are_refused_with_a_reason(
    runs: Runs, straight: dict[str, Losses]
) -> None:
    runs.copy("straight", "damaged")
    for file in runs.root("damaged").glob("step-*/*.distcp"):
        file.write_bytes(file.read_bytes()[:100])
    facts = next(runs.root("damaged", "bfloat16").glob("step-*/facts.json"))
    facts.write_text(facts.read_text().replace('"layers": 2', '"layers": 3'))
    damaged, other = runs.jobs("damaged", 1, DTYPES)
    for job, reason in ((damaged, "is damaged"), (other, "is of another model")):
        done = ranks.alone("checkpoint_ranks.py", json.dumps([job]))
        assert done.returncode == 1
        assert f"ResumeError: {job['root']}" in done.stderr
        assert reason in done.stderr


def test_a_pointer_to_nothing_is_an_error_and_no_pointer_is_a_new_run(tmp_path: Path) -> None:
    from rm_train import checkpoint

    assert checkpoint.latest(tmp_path) is None
    (tmp_path / checkpoint.POINTER).write_text("step-00000009\n")
    with pytest.raises(checkpoint.ResumeError, match="step-00000009"):
        checkpoint.latest(tmp_path)
