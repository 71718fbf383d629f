"""What a checkpoint's folder holds, read from its JSON and safetensors headers alone. Needs neither torch nor HF."""

import json
from pathlib import Path
from typing import Any

from coderm_slime.errors import CodermError

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
BIAS = "score.bias"
# SGLang gives these heads a bias that the checkpoints do not have, and leaves it at torch's random start values.
_BIASED_IN_SGLANG = ("Qwen2ForSequenceClassification", "Qwen3ForSequenceClassification")


class CheckpointError(CodermError):
    """A checkpoint's folder cannot be used. The text says why."""


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json.

    Raises:
        CheckpointError: there is none that can be read.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} holds no readable config.json: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{folder / 'config.json'} is no JSON object")
    return config


def architecture_in(config: dict[str, Any]) -> str:
    """The name of the model's class."""
    names = config.get("architectures") or ["of unknown architecture"]
    return str(names[0])


def is_reward_model(folder: Path) -> bool:
    """Whether the folder's model scores, instead of writing text.

    Raises:
        CheckpointError: there is no config.json that can be read.
    """
    return architecture_in(read_config(folder)).endswith("ForSequenceClassification")


def tensors_in(folder: Path) -> dict[str, str]:
    """The file of every tensor, by name. Each file's header is read, so a file cut in half is found out.

    Raises:
        CheckpointError: no safetensors there, a file is missing or damaged, or a tensor stands in no file.
    """
    files = _files(folder)
    found = {name: file for file in sorted(set(files.values())) for name in _names_in(folder / file)}
    wanted = files if INDEX_FILE in {path.name for path in folder.iterdir()} else found
    if missing := sorted(wanted.keys() - found.keys()):
        raise CheckpointError(f"{folder} lacks {len(missing)} tensors of its index, the first is {missing[0]}")
    return {name: found[name] for name in wanted}


def needs_zero_bias(folder: Path) -> bool:
    """Whether SGLang would score with a random bias: its head has one, and the checkpoint holds none."""
    return architecture_in(read_config(folder)) in _BIASED_IN_SGLANG and BIAS not in tensors_in(folder)


def _files(folder: Path) -> dict[str, str]:
    """The file that every tensor is said to be in; of a single file, the file under its own name."""
    if (folder / INDEX_FILE).is_file():
        try:
            weight_map = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))["weight_map"]
            return {str(name): str(file) for name, file in weight_map.items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{folder / INDEX_FILE} cannot be read: {error}") from error
    if (folder / SINGLE_FILE).is_file():
        return {SINGLE_FILE: SINGLE_FILE}
    raise CheckpointError(f"{folder} holds neither {SINGLE_FILE} nor {INDEX_FILE}; only safetensors are taken")


def _names_in(file: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    if file.name != str(file.relative_to(file.parent)) or not file.is_file():
        raise CheckpointError(f"{file} is missing")
    try:
        with safe_open(file, framework="numpy") as tensors:
            return list(tensors.keys())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
