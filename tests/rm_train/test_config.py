"""The configuration: the paper's numbers by default, and a clear word for whatever is wrong in it."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.processes import ROOT
from rm_train.config import ConfigError, TrainConfig, load_config, save_config, with_data, with_sets

pytestmark = pytest.mark.torch

LEAST = "model: m\noutput: o\ndata:\n  ranking: {train: [pairs.jsonl], validation: {held: [v.jsonl]}}\n"


def read(folder: Path, text: str = LEAST, **options: object) -> TrainConfig:
    (folder / "c.yaml").write_text(text)
    return load_config(folder / "c.yaml", options)


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    config = read(tmp_path)
    regression, ranking = config.stages.regression, config.stages.ranking
    assert (regression.loss.kind, ranking.loss.kind) == ("mse", "bradley_terry")
    assert (regression.lr, ranking.lr) == (1e-6, 5e-7)
    assert {(s.epochs, s.batch, s.warmup) for s in (regression, ranking)} == {(2, 8 * 8 * 2, 0.03)}
    assert (config.max_tokens, config.dtype) == (2048, "bfloat16")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stages: {ranking: {learning_rate: 1}}", r"stages\.ranking\.learning_rate.*known here: .*lr"),
        ("tensor_parallel: 2", r"tensor_parallel.*known here: .*tp"),
        ("tp: 0", r"tp = 0: .*greater than or equal to 1"),
        ("stages: {ranking: {micro_batch_tokens: 3000}}", "micro_batch_tokens=3000 is less than .* 4096 tokens"),
        ("stages: {regression: {loss: {kind: mse, margin: 1}}}", "kind='mse' knows no pairs"),
        ("evaluation: {select_by: other}", r"select_by='other' is no validation set of data\.ranking \(held\)"),
        ("dtype: float16", "dtype = 'float16'"),
        ("head: {start: fresh}", r"head\.start = 'fresh'"),
    ],
)
def test_what_is_wrong_is_said_with_key_and_value(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, LEAST + line + "\n")


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to train on"):
        read(tmp_path, "model: m\noutput: o\ndata: {}\n")


def test_options_win_over_the_file(tmp_path: Path) -> None:
    config = read(tmp_path, **{"model": "/elsewhere", "stages.ranking.time_budget_minutes": 3})
    assert config.model == Path("/elsewhere")
    assert config.stages.ranking.time_budget_minutes == 3


def test_data_is_a_folder_or_one_file_for_all(tmp_path: Path) -> None:
    config = read(tmp_path)
    assert with_data(config, tmp_path).data.root == tmp_path
    (tmp_path / "all.jsonl").touch()
    ranking = with_data(config, tmp_path / "all.jsonl").data.ranking
    assert {source.path for source in (*ranking.train, *ranking.validation["held"])} == {tmp_path / "all.jsonl"}


def test_sets_are_added_and_training_rows_replaced(tmp_path: Path) -> None:
    ranking = with_sets(read(tmp_path), [tmp_path / "t"], {"own": tmp_path / "v"}).data.ranking
    assert [source.path for source in ranking.train] == [tmp_path / "t"]
    assert list(ranking.validation) == ["held", "own"]


def test_a_saved_configuration_is_read_as_it_was(tmp_path: Path) -> None:
    config = read(tmp_path)
    save_config(config, tmp_path / "out" / "config.yaml")
    assert load_config(tmp_path / "out" / "config.yaml") == config


@pytest.mark.parametrize("recipe", sorted((ROOT / "examples" / "rm_train").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_a_good_configuration(recipe: Path) -> None:
    load_config(recipe)


def test_configuration_and_data_need_no_torch() -> None:
    code = "import sys, rm_train.config, rm_train.data.prepare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
