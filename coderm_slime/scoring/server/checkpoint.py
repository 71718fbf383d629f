"""Checkpoints from local folders into memory, with every part of them known to be there. Needs torch."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
)

from coderm_slime.errors import CodermError


class EngineError(CodermError):
    """The checkpoint cannot be served. The text says why."""


def architecture_of(model_path: Path) -> str:
    """The name of a checkpoint's class, e.g. `LlamaForCausalLM`.

    Raises:
        EngineError: no model in that folder.
    """
    return str((_config(model_path).architectures or ["of unknown architecture"])[0])


def load_reward_model(model_path: Path, dtype: str) -> Any:
    """A one-label `*ForSequenceClassification`.

    Raises:
        EngineError: it is something else, or lacks weights that transformers would fill at random.
    """
    config, architecture = _config(model_path), architecture_of(model_path)
    if not architecture.endswith("ForSequenceClassification"):
        raise EngineError(
            f"{model_path} is a {architecture}; a reward model is a …ForSequenceClassification of one label"
        )
    if config.num_labels != 1:
        raise EngineError(f"{model_path} has num_labels={config.num_labels}; a reward model has 1")
    return _load(AutoModelForSequenceClassification, model_path, dtype)


def load_causal_model(model_path: Path, dtype: str) -> Any:
    """A `*ForCausalLM`.

    Raises:
        EngineError: it is something else, or lacks weights that transformers would fill at random.
    """
    architecture = architecture_of(model_path)
    if not architecture.endswith("ForCausalLM"):
        raise EngineError(f"{model_path} is a {architecture}; a language model is a …ForCausalLM")
    return _load(AutoModelForCausalLM, model_path, dtype)


def load_text_tokenizer(model_path: Path) -> Any:
    """The tokenizer for requests that are given as text."""
    return AutoTokenizer.from_pretrained(model_path)


def _config(model_path: Path) -> PretrainedConfig:
    if not (model_path / "config.json").is_file():
        missing = "holds no config.json" if model_path.is_dir() else "is no folder"
        raise EngineError(f"{model_path} {missing}; a Hugging Face model folder is needed")
    return AutoConfig.from_pretrained(model_path)


def _load(kind: Any, model_path: Path, dtype: str) -> Any:
    model, report = kind.from_pretrained(model_path, dtype=getattr(torch, dtype), output_loading_info=True)
    if report["missing_keys"]:
        raise EngineError(
            f"{model_path} lacks {sorted(report['missing_keys'])}; transformers would fill them at random"
        )
    return model.eval()
