"""The learning rate by how far a stage is: by steps, or by the clock where a time budget ends it earlier."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up to `peak`, then a cosine to 0.

    Attributes:
        warmup: part of the stage.
        budget_s: seconds that the stage's steps may take; None leaves it to the steps.
    """

    peak: float
    total_steps: int
    warmup: float
    budget_s: float | None = None

    def progress(self, step: int, elapsed_s: float) -> float:
        """How much of the stage lies behind, in [0, 1]; at 1 it is over."""
        by_clock = elapsed_s / self.budget_s if self.budget_s else 0.0
        return min(1.0, max(step / self.total_steps, by_clock))

    def lr(self, progress: float) -> float:
        """The rate of the step that begins at `progress`; neither the first nor the last step's is 0."""
        one_step = 1 / self.total_steps
        if progress < self.warmup:
            return self.peak * min(1.0, (progress + one_step) / max(self.warmup, one_step))
        return self.peak * (1 + math.cos(math.pi * (progress - self.warmup) / (1 - self.warmup))) / 2
