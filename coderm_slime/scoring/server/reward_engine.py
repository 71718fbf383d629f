"""The reward model behind the stand-in: a one-label `*ForSequenceClassification`. Needs torch."""

from collections.abc import Sequence
from pathlib import Path

import torch

from coderm_slime.scoring.server.checkpoint import load_reward_model, load_text_tokenizer

# Padded tokens of one forward pass. A CPU is busy from about a thousand on (measured on 25 M and 135 M parameters).
_MAX_BATCH_TOKENS = 2048
# A CPU pays for every padded place, so sequences that would add more than this part of padding wait for their like.
_MAX_PADDING = 1 / 16


class RewardEngine:
    """Scores token-id sequences in process. Not thread-safe: one caller at a time.

    Args:
        model_path: a local folder.
        dtype: `float32` for parity with other engines, `bfloat16` for speed (about 1.7 times on a CPU that has it).

    Raises:
        EngineError: no model there, or one whose head is not a single label that the checkpoint really holds.
    """

    def __init__(self, model_path: Path, dtype: str = "float32") -> None:
        self._model = load_reward_model(model_path, dtype)
        self._tokenizer = load_text_tokenizer(model_path)
        config = self._model.config
        self.max_tokens: int = config.max_position_embeddings
        self.vocab_size: int = config.vocab_size
        self.architectures: tuple[str, ...] = tuple(config.architectures or ())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts as they stand, with the special tokens that the tokenizer adds by itself, as SGLang does it."""
        return [list(ids) for ids in self._tokenizer(list(texts))["input_ids"]]

    def score(self, batch: Sequence[Sequence[int]]) -> list[float]:
        """The raw logit of every sequence, in order; sequences of like length share a forward pass."""
        logits = [0.0] * len(batch)
        for group in by_length([len(ids) for ids in batch]):
            for index, logit in zip(group, self.forward([batch[index] for index in group]), strict=True):
                logits[index] = logit
        return logits

    def forward(self, batch: Sequence[Sequence[int]]) -> list[float]:
        """The raw logits of `batch` from one forward pass, padded to its longest sequence."""
        with torch.inference_mode():
            return [float(logit) for logit in self._model.score(self._last_hidden(batch)).float().squeeze(-1)]

    def features(self, batch: Sequence[Sequence[int]]) -> torch.Tensor:
        """What the head reads of every sequence, (len(batch), hidden) in float32, in order."""
        rows = torch.empty(len(batch), self._model.config.hidden_size)
        with torch.inference_mode():
            for group in by_length([len(ids) for ids in batch]):
                rows[group] = self._last_hidden([batch[index] for index in group]).float()
        return rows

    def _last_hidden(self, batch: Sequence[Sequence[int]]) -> torch.Tensor:
        lengths = torch.tensor([len(ids) for ids in batch])
        width = int(lengths.max())
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in batch])
        mask = (torch.arange(width)[None, :] < lengths[:, None]).long()
        hidden: torch.Tensor = self._model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        # The last token is found by length, not by looking for pad ids as transformers does: where the pad token
        # is the end-of-turn token, that search would stop one token early.
        return hidden[torch.arange(len(batch)), lengths - 1]


def by_length(lengths: Sequence[int]) -> list[list[int]]:
    """Indices of sequences in groups for a forward pass each: within the budget, and with little padding."""
    groups: list[list[int]] = []
    tokens = 0  # of the last group
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        padded = (len(groups[-1]) + 1) * lengths[index] if groups else 0
        padding = padded - tokens - lengths[index]
        if groups and padded <= _MAX_BATCH_TOKENS and padding <= _MAX_PADDING * padded:
            groups[-1].append(index)
            tokens += lengths[index]
        else:
            groups.append([index])
            tokens = lengths[index]
    return groups
