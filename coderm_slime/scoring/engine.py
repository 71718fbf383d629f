"""The model behind the CPU stand-in server: a one-label `*ForSequenceClassification`. Needs torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from coderm_slime.errors import CodermError


class EngineError(CodermError):
    """The checkpoint cannot be served as a reward model. The text says why."""


class RewardEngine:
    """Scores token-id sequences in process. Not thread-safe: one caller at a time.

    Args:
        model_path: a local folder.
        dtype: `float32` for parity with other engines, `bfloat16` for speed (about 1.7 times on a CPU that has it).
        max_batch_tokens: padded tokens in one forward pass; CPUs are compute-bound, so more gains nothing.

    Raises:
        EngineError: no model there, or one whose head is not a single label that the checkpoint really holds.
    """

    def __init__(self, model_path: Path, dtype: str = "float32", max_batch_tokens: int = 4096) -> None:
        self._model = _load(model_path, dtype)
        self._max_batch_tokens = max_batch_tokens
        config = self._model.config
        self.max_tokens: int = config.max_position_embeddings
        self.vocab_size: int = config.vocab_size
        self.architectures: list[str] = list(config.architectures or [])

    def score(self, batch: Sequence[Sequence[int]]) -> list[float]:
        """The raw logit of every sequence, in order; sequences of like length share a forward pass."""
        order = sorted(range(len(batch)), key=lambda index: len(batch[index]))
        logits = [0.0] * len(batch)
        for group in _within_budget(order, batch, self._max_batch_tokens):
            for index, logit in zip(group, self._forward([batch[index] for index in group]), strict=True):
                logits[index] = logit
        return logits

    def _forward(self, batch: Sequence[Sequence[int]]) -> list[float]:
        lengths = torch.tensor([len(ids) for ids in batch])
        width = int(lengths.max())
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in batch])
        mask = (torch.arange(width)[None, :] < lengths[:, None]).long()
        with torch.inference_mode():
            hidden = self._model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
            # The last token is found by length, not by looking for pad ids as transformers does: where the pad token
            # is the end-of-turn token, that search would stop one token early.
            logits = self._model.score(hidden[torch.arange(len(batch)), lengths - 1])
        return [float(logit) for logit in logits.float().squeeze(-1)]


def _load(model_path: Path, dtype: str) -> Any:
    if not (model_path / "config.json").is_file():
        missing = "holds no config.json" if model_path.is_dir() else "is no folder"
        raise EngineError(f"{model_path} {missing}; a Hugging Face model folder is needed")
    config = AutoConfig.from_pretrained(model_path)
    architecture = (config.architectures or ["of unknown architecture"])[0]
    if not architecture.endswith("ForSequenceClassification"):
        raise EngineError(
            f"{model_path} is a {architecture}; a reward model is a …ForSequenceClassification of one label"
        )
    if config.num_labels != 1:
        raise EngineError(f"{model_path} has num_labels={config.num_labels}; a reward model has 1")
    model, report = AutoModelForSequenceClassification.from_pretrained(
        model_path, dtype=getattr(torch, dtype), output_loading_info=True
    )
    if report["missing_keys"]:
        raise EngineError(
            f"{model_path} lacks {sorted(report['missing_keys'])}; transformers would fill them at random"
        )
    return model.eval()


def _within_budget(order: list[int], batch: Sequence[Sequence[int]], budget: int) -> list[list[int]]:
    """Cut `order` (by rising length) into groups whose padded size stays within `budget` tokens."""
    groups: list[list[int]] = []
    for index in order:
        if groups and (len(groups[-1]) + 1) * len(batch[index]) <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
