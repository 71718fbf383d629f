"""Sequences laid end to end without padding: what the model reads, and what the data side makes. Knows neither."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Packed:
    """Several token sequences as one row (Megatron's layout "thd").

    Attributes:
        tokens: ids of all sequences, (tokens,), int64.
        positions: each token's place in its own sequence, from 0, (tokens,), int64.
        starts: where each sequence starts, and the end of the last one, (sequences + 1,), int32.
        longest: tokens of the longest sequence.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    starts: torch.Tensor
    longest: int

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> "Packed":
        """Pack `sequences` in order.

        Raises:
            ValueError: there is none, or one is empty: it would have no last token to score.
        """
        lengths = [len(sequence) for sequence in sequences]
        if not lengths or min(lengths) == 0:
            raise ValueError(f"sequences of {lengths} tokens cannot be packed: each needs at least one token")
        starts = torch.zeros(len(lengths) + 1, dtype=torch.int32)
        starts[1:] = torch.tensor(lengths).cumsum(0)
        positions = torch.cat([torch.arange(length) for length in lengths])
        tokens = torch.tensor([token for sequence in sequences for token in sequence], dtype=torch.int64)
        return cls(tokens, positions, starts, max(lengths))

    @property
    def last_tokens(self) -> torch.Tensor:
        """Index of each sequence's last token, where its score is read, (sequences,), int64."""
        return self.starts[1:].long() - 1

    def to(self, device: torch.device) -> "Packed":
        """The same on `device`."""
        return Packed(self.tokens.to(device), self.positions.to(device), self.starts.to(device), self.longest)
