"""Whole trainings by real ranks: the same curve on every layout, through SIGKILL, and the same scores when served."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from helpers import tiny
from helpers.processes import coderm, coderm_serve, free_port
from helpers.ranks import ROOT, environment

_PATIENCE_S = 900  # of one launch: it takes a quarter of a minute where nobody else works
pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.timeout(3 * _PATIENCE_S)]

SAME_LAYOUT, OTHER_LAYOUT = 1e-6, 5e-5  # how far a loss may be off


def pair(number: int, **more: object) -> dict[str, object]:
    """A pair of programs whose lengths differ from row to row."""
    body = "".join(f"    x = x * {number} + {step}\n" for step in range(1 + number % 7))
    good = f"def f(x):\n{body}    return x\n"
    return {"problem": f"Scale by {number % 10}.", "chosen": good, "rejected": good.replace("+", "-"), **more}


def scalar(number: int) -> dict[str, object]:
    """A response whose label falls with its number."""
    code = pair(number)["chosen"]
    return {"problem": f"Scale by {number}.", "response": f"```python\n{code}```", "q": 3 * (number % 5) / 4, "n": 3}


def train(ranks: int, *jobs: object) -> subprocess.CompletedProcess:
    """Run train_ranks.py on so many ranks to its end; one rank does without torchrun."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    script, ports = ROOT / "tests" / "rm_train" / "train_ranks.py", ",".join(str(free_port()) for _ in jobs)
    command = ["timeout", "-k", "5", str(_PATIENCE_S), sys.executable, *torchrun, str(script), ports, *map(str, jobs)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(), check=False)


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@dataclass
class Runs:
    """A folder of trainings that differ in layout alone."""

    folder: Path

    def config(self, name: str, tp: int, output: str | None = None) -> Path:
        """Five rows a step: two ranks never hold equal numbers."""
        stage = {"lr": 1e-3, "batch": 5, "epochs": 2, "micro_batch_tokens": 800}
        tree = {
            "model": str(self.folder / "lm"),
            "output": str(self.folder / (output or name)),
            "dtype": "float32",
            "tp": tp,
            "max_tokens": 400,
            "head": {"start": "ridge"},
            "data": {
                "root": str(self.folder),
                "regression": {"train": ["scalar.jsonl"], "validation": {"scalar": ["scalar_held_out.jsonl"]}},
                "ranking": {"train": ["pairs.jsonl"], "validation": {"pairs": ["pairs_held_out.jsonl"]}},
            },
            "stages": {"regression": stage, "ranking": {**stage, "lr": 3e-4}},
            "checkpoints": {"every_steps": 8, "keep": 2},
            "logging": {"tensorboard": False},
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(tree))
        return path

    def losses(self, output: str, stage: str) -> list[float]:
        rows = [json.loads(line) for line in (self.folder / output / "metrics.jsonl").read_text().splitlines()]
        steps = [row for row in rows if row["kind"] == "step" and row["stage"] == stage]
        assert [row["step"] for row in steps] == list(range(1, len(steps) + 1))  # none is missing, none is double
        return [row["loss"] for row in steps]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A training of one rank."""
    folder = tmp_path_factory.mktemp("training")
    tiny.language_model(folder / "lm", "qwen3")
    write_rows(folder / "scalar.jsonl", [scalar(number) for number in range(50)])
    write_rows(folder / "scalar_held_out.jsonl", [scalar(number) for number in range(50, 60)])
    write_rows(folder / "pairs.jsonl", [pair(number) for number in range(50)])
    write_rows(folder / "pairs_held_out.jsonl", [pair(number) for number in range(50, 60)])
    runs = Runs(folder)
    done = train(1, runs.config("tp1-dp1", 1))
    assert done.returncode == 0, done.stderr[-3000:]
    return runs


@pytest.fixture(scope="module")
def runs(alone: Runs) -> Runs:
    """The same on two ranks, too; two of these trainings are killed on the way and go on."""
    runs, folder = alone, alone.folder
    step_dies = f"{runs.config('killed-in-step', 1)}:die-in-step:11"
    done = train(2, runs.config("tp2", 2), runs.config("dp2", 1), step_dies)
    assert done.returncode != 0  # the dead rank ends the job, or this would not have come back
    assert "SIGKILL" in done.stderr
    shutil.copytree(folder / "killed-in-step", folder / "killed-in-step-tp2")
    save_dies = f"{runs.config('killed-in-save', 1)}:die-in-save:2"
    done = train(2, runs.config("killed-in-step", 1), save_dies)
    assert done.returncode != 0
    assert "SIGKILL" in done.stderr
    done = train(2, runs.config("killed-in-save", 1), runs.config("killed-in-step-tp2", 2))
    assert done.returncode == 0, done.stderr[-3000:]
    return runs


STAGES = pytest.mark.parametrize("stage", ["regression", "ranking"])


@STAGES
@pytest.mark.parametrize("layout", ["tp2", "dp2"])
def test_every_layout_has_the_loss_curve_of_one_rank(runs: Runs, layout: str, stage: str) -> None:
    alone = runs.losses("tp1-dp1", stage)
    assert len(alone) == 20
    assert max(alone) > min(alone) + 1e-3  # it moves
    assert runs.losses(layout, stage) == pytest.approx(alone, abs=OTHER_LAYOUT)


@STAGES
def test_two_by_two_ranks_have_the_loss_curve_of_one_rank(runs: Runs, stage: str) -> None:
    if not (runs.folder / "tp2-dp2").exists():
        done = train(4, runs.config("tp2-dp2", 2))
        assert done.returncode == 0, done.stderr[-3000:]
    assert runs.losses("tp2-dp2", stage) == pytest.approx(runs.losses("tp1-dp1", stage), abs=OTHER_LAYOUT)


@STAGES
@pytest.mark.parametrize("killed", ["killed-in-step", "killed-in-save"])
def test_a_killed_run_goes_on_as_if_nothing_had_been(runs: Runs, killed: str, stage: str) -> None:
    assert runs.losses(killed, stage) == pytest.approx(runs.losses("dp2", stage), abs=SAME_LAYOUT)


@STAGES
def test_a_killed_run_goes_on_with_other_tensor_parallelism(runs: Runs, stage: str) -> None:
    assert runs.losses("killed-in-step-tp2", stage) == pytest.approx(runs.losses("dp2", stage), abs=OTHER_LAYOUT)


def test_the_exported_model_scores_as_the_trainer_did_in_hugging_face_and_served(alone: Runs) -> None:
    from coderm_slime.chat import Renderer, as_response
    from coderm_slime.records import PairExample
    from coderm_slime.scoring.server.reward_engine import RewardEngine

    model = alone.folder / "tp1-dp1" / "ranking"
    lines = (alone.folder / "tp1-dp1" / "ranking.scores.jsonl").read_text().splitlines()
    trained = [score for line in lines for score in json.loads(line)["scores"]]
    rows = [PairExample(**json.loads(line)) for line in (alone.folder / "pairs_held_out.jsonl").open()]
    texts = [(row.problem, as_response(side)) for row in rows for side in (row.chosen, row.rejected)]
    renderer = Renderer.load(str(model))
    hugging_face = RewardEngine(model).score([renderer.render(*text) for text in texts])
    assert max(trained) > min(trained) + 1e-2
    assert hugging_face == pytest.approx(trained, abs=1e-4)
    answers = [{"id": str(n), "problem": problem, "response": text} for n, (problem, text) in enumerate(texts)]
    file, out = write_rows(alone.folder / "answers.jsonl", answers), alone.folder / "verdicts.jsonl"
    with coderm_serve(model) as url:
        done = coderm("score", file, "--out", out, "--url", url, "--model-path", model)
    assert done.returncode == 0, done.stderr
    served = {row["id"]: row["verdict"]["raw"] for row in map(json.loads, out.open())}
    assert [served[str(n)] for n in range(len(texts))] == pytest.approx(trained, abs=1e-4)


def test_a_run_with_other_settings_is_not_mixed_into_one_that_is_there(alone: Runs) -> None:
    config = alone.config("other", 1, output="tp1-dp1")
    config.write_text(config.read_text().replace("batch: 5", "batch: 6"))
    done = train(1, config)
    assert done.returncode == 1
    assert "batch=5, now it is 6" in done.stderr


def test_the_command_trains_both_stages_and_writes_what_it_says(alone: Runs) -> None:
    config, output = alone.config("command", 1), alone.folder / "by-command"
    options = ["--nproc", "1", "--output", output, "--train", alone.folder / "pairs.jsonl"]
    more = ["--validation", f"own={alone.folder / 'pairs_held_out.jsonl'}"]
    dry = coderm("train-rm", "--config", config, *options, *more, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "memory of a rank" in dry.stderr
    assert not (output / "metrics.jsonl").exists()
    done = coderm("train-rm", "--config", config, *options, *more, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr[-3000:]
    for stage in ("regression", "ranking"):
        report = json.loads((output / f"{stage}.json").read_text())
        assert report["validation"]["own"]["pairs"]["report"]["pairs"] == 10
        assert report["validation"]["own"]["swap_error"] < 1e-9
        assert (output / f"{stage}.png").stat().st_size > 1000
        assert (output / stage / "coderm_rm.json").is_file()


def test_a_rank_that_cannot_go_on_ends_the_job(alone: Runs) -> None:
    """Nine heads cannot be shared by two ranks; each of them says so and none waits."""
    tiny.language_model(alone.folder / "odd", "llama", num_attention_heads=3, num_key_value_heads=3, hidden_size=48)
    config = alone.config("odd-heads", 2)
    config.write_text(config.read_text().replace(str(alone.folder / "lm"), str(alone.folder / "odd")))
    done = coderm("train-rm", "--config", config, "--nproc", 2)
    assert done.returncode == 1
    assert "3" in done.stderr and "2" in done.stderr
