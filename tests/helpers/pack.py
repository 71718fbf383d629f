"""Four sequences of unequal lengths, and a loss on their scores. Needs torch."""

import torch

COEFFICIENTS = (1.0, -0.5, 2.0, 0.25)  # of the sequences' scores in the loss


def sequences(vocab: int) -> list[list[int]]:
    """Token ids of four sequences of unequal lengths."""
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, vocab, (length,), generator=generator).tolist() for length in (7, 1, 19, 12)]
