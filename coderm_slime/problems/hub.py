"""Rows of a data set through the package `datasets`: of the Hugging Face hub where the source is named `hub:ORG/NAME`,
else of a folder on this machine. They are streamed, and nothing else is ever asked of the hub.

What the hub gives is kept where `datasets` keeps it; its own variables (HF_HOME, HF_TOKEN, HF_HUB_OFFLINE) hold here.
"""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from coderm_slime.errors import CodermError

PREFIX = "hub:"
SPLIT = "train"
"""What most data sets call the rows that are not for evaluation."""


def is_data_set(path: Path) -> bool:
    """Whether `path` names a data set of the hub, or is a folder, and not a file."""
    return str(path).startswith(PREFIX) or path.is_dir()


def data_set_rows(path: Path, split: str | None, config: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of one split, numbered from 1.

    Raises:
        CodermError: `datasets` is missing, cannot reach or read the data set, or knows no such split or configuration.
    """
    try:
        library = importlib.import_module("datasets")
    except ImportError as error:
        raise CodermError(f"{path} is read by the package datasets: pip install 'coderm-slime[mcts]'") from error
    number = 0
    try:
        for row in _opened(library, path, split or SPLIT, config):
            number += 1
            yield number, row
    except (library.exceptions.DatasetsError, OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CodermError(f"{path}, split {split or SPLIT!r}, after row {number}: {reason}") from error


def _opened(library: Any, path: Path, split: str, config: str | None) -> Iterable[dict[str, Any]]:
    rows: Iterable[dict[str, Any]]
    if (path / "dataset_dict.json").is_file():  # what DatasetDict.save_to_disk wrote
        splits = library.load_from_disk(str(path))
        if split not in splits:
            raise ValueError(f"Bad split: {split}. Available splits: {sorted(splits)}")
        rows = splits[split]
    elif (path / "state.json").is_file():  # Dataset.save_to_disk: one split without a name
        rows = library.load_from_disk(str(path))
    else:
        rows = library.load_dataset(str(path).removeprefix(PREFIX), config, split=split, streaming=True)
    return rows
