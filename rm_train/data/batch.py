"""Some units as tensors: one pack of all their sequences, and where labels and pairs point into it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rm_train.data.units import Unit
from rm_train.packed import Packed


@dataclass(frozen=True)
class MicroBatch:
    """What one forward pass reads, and what its scores are held against; all float32 but the positions.

    Attributes:
        packed: S sequences, units in order.
        targets, target_weights: (S,).
        better, worse: positions of each pair's sides among the sequences, (P,), int64.
        pair_weights, gaps: (P,).
    """

    packed: Packed
    targets: torch.Tensor
    target_weights: torch.Tensor
    better: torch.Tensor
    worse: torch.Tensor
    pair_weights: torch.Tensor
    gaps: torch.Tensor

    @classmethod
    def of(cls, units: Sequence[Unit]) -> "MicroBatch":
        """The units in order; at least one."""
        starts, pairs = 0, []
        for unit in units:
            pairs += [(starts + better, starts + worse) for better, worse in unit.pairs]
            starts += len(unit.sequences)
        return cls(
            packed=Packed.of([ids for unit in units for ids in unit.sequences]),
            targets=_floats([target for unit in units for target in unit.targets]),
            target_weights=_floats([weight for unit in units for weight in unit.target_weights]),
            better=torch.tensor([better for better, _ in pairs], dtype=torch.int64),
            worse=torch.tensor([worse for _, worse in pairs], dtype=torch.int64),
            pair_weights=_floats([weight for unit in units for weight in unit.pair_weights]),
            gaps=_floats([gap for unit in units for gap in unit.gaps]),
        )

    def weightless(self) -> "MicroBatch":
        """The same sequences, which count for nothing: what a rank reads that has nothing left in a step."""
        nothing, no_pairs = torch.zeros_like(self.target_weights), torch.zeros_like(self.pair_weights)
        return MicroBatch(self.packed, self.targets, nothing, self.better, self.worse, no_pairs, self.gaps)

    def to(self, device: torch.device) -> "MicroBatch":
        """The same on `device`."""
        moved = {name: value.to(device) for name, value in vars(self).items()}
        return MicroBatch(**moved)


def _floats(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)
