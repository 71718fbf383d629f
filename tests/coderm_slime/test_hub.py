"""Data sets through the package `datasets`: folders here, and what is said where the hub cannot be had.

No test asks the hub: `HF_HUB_OFFLINE` is what a machine without it comes to, at once.
"""

import importlib
import json
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from coderm_slime.cli import build
from coderm_slime.errors import CodermError
from coderm_slime.problems import Fault, read_problems
from helpers.processes import coderm, path_without

pytestmark = pytest.mark.torch  # `datasets` comes with the extras mcts and test, not with the core

ROWS = [
    {"lang": "python", "raw_index": n, "index": n, "problem": f"Return {n}.", "solution": f"def f():\n    return {n}"}
    for n in range(3)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set's folder as the hub has them: one file a split."""
    (tmp_path / "set").mkdir()
    rows = {"train": [*ROWS, ROWS[0] | {"lang": "rust"}], "test": ROWS[:1]}
    for split, its in rows.items():
        (tmp_path / "set" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in its))
    return tmp_path / "set"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a network connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refused)


def test_a_folder_gives_what_its_files_give(folder: Path) -> None:
    streamed, lines = read_problems(folder), read_problems(folder / "train.jsonl")
    problems = [row for row in streamed if streamed.data_set == "magicoder"]
    assert [str(row).removeprefix(f"{folder}") for row in problems if row not in list(lines)] == [":4: lang is 'rust'"]
    assert [row for row in problems if row in list(lines)] == list(lines)[:3]
    assert (streamed.problems, streamed.left_out) == (3, {Fault.NOT_PYTHON: 1})
    assert list(streamed)[:3] == list(lines)[:3]  # and once more


def test_a_split_is_chosen_by_its_name(folder: Path) -> None:
    assert [row.id for row in read_problems(folder, split="test")] == ["magicoder/0"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_data_set_saved_to_disk_is_read(folder: Path, tmp_path: Path, whole: bool) -> None:
    datasets = importlib.import_module("datasets")
    rows = datasets.Dataset.from_list(ROWS)
    (datasets.DatasetDict({"train": rows}) if whole else rows).save_to_disk(tmp_path / "saved")
    assert [row.id for row in read_problems(tmp_path / "saved")] == ["magicoder/0", "magicoder/1", "magicoder/2"]
    if whole:
        with pytest.raises(CodermError, match=r"Bad split: x. Available splits: \['train'\]"):
            read_problems(tmp_path / "saved", split="x")


def test_a_missing_split_or_configuration_is_one_line_with_what_there_is(folder: Path) -> None:
    with pytest.raises(CodermError, match=r"split 'nowhere', after row 0: .*\['test', 'train'\]|\['train', 'test'\]"):
        read_problems(folder, split="nowhere")
    with pytest.raises(CodermError, match="'nowhere' not found"):
        read_problems(folder, config="nowhere")


def test_a_file_has_no_split(folder: Path) -> None:
    with pytest.raises(CodermError, match="is a file: a split"):
        read_problems(folder / "train.jsonl", split="train")


def test_a_folder_without_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CodermError, match=f"{tmp_path}, split 'train', after row 0: "):
        read_problems(tmp_path)


def test_a_file_that_is_cut_off_ends_in_one_line(folder: Path) -> None:
    with (folder / "train.jsonl").open("a") as file:
        file.write('{"lang": "py')
    with pytest.raises(CodermError, match="split 'train', after row "):
        list(read_problems(folder))


def test_without_datasets_it_is_said_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    for source in (folder, Path("hub:ise-uiuc/Magicoder-OSS-Instruct-75K")):
        with pytest.raises(CodermError, match=r"pip install 'coderm-slime\[mcts\]'"):
            read_problems(source)


def test_without_the_hub_the_command_ends_in_one_line(tmp_path: Path) -> None:
    result = coderm(
        "data", "problems", "hub:nobody/nothing", tmp_path / "out.jsonl", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path)
    )
    assert result.returncode == 1
    assert "error: hub:nobody/nothing, split 'train', after row 0: " in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_a_name_without_the_prefix_is_a_file_and_never_asked_of_the_hub(tmp_path: Path) -> None:
    hidden = os.pathsep.join([path_without(tmp_path / "hidden", "datasets"), os.environ.get("PYTHONPATH", "")])
    result = coderm("data", "problems", "nobody/nothing", tmp_path / "out.jsonl", PYTHONPATH=hidden)
    assert result.returncode == 1
    assert "nobody/nothing" in result.stderr
    assert "datasets" not in result.stderr


def test_the_command_reads_a_folder_by_split(folder: Path, tmp_path: Path) -> None:
    """In this process: `datasets` takes seconds to import."""
    result = CliRunner().invoke(
        build(), ["data", "problems", str(folder), str(tmp_path / "out.jsonl"), "--split=test"]
    )
    assert result.exit_code == 0, result.output
    assert "1 problems of magicoder" in result.stdout
