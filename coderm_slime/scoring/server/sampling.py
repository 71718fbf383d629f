"""How the next token is chosen, and how probable it was. Needs torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Sampling:
    """SGLang's sampling parameters, those that are served.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_k: -1 for all.
        stop: texts that end the answer; the answer ends before them unless `no_stop_trim`.
        ignore_eos: go on after the model's own end tokens.
    """

    max_new_tokens: int = 128
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = -1
    stop: tuple[str, ...] = ()
    stop_token_ids: frozenset[int] = field(default_factory=frozenset)
    ignore_eos: bool = False
    no_stop_trim: bool = False
    skip_special_tokens: bool = True
    seed: int | None = None


@dataclass(frozen=True)
class TokenScore:
    """A token, the natural logarithm of its probability (None: nothing stands before it), and the likeliest there."""

    id: int
    logprob: float | None
    top: Sequence[tuple[float, int]] = ()


def scored(logprobs: torch.Tensor, token: int, top: int) -> TokenScore:
    """`token` under `logprobs` (vocabulary,), with the `top` likeliest."""
    best = logprobs.topk(top) if top else None
    pairs = list(zip(best.values.tolist(), best.indices.tolist(), strict=True)) if best else ()
    return TokenScore(token, float(logprobs[token]), pairs)


def log_probabilities(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """After the temperature, before top-p and top-k, as SGLang gives them by default; greedy: the model's own."""
    return torch.log_softmax(logits.float() / (sampling.temperature or 1.0), dim=-1)


def choose(logprobs: torch.Tensor, sampling: Sampling, chance: torch.Generator) -> int:
    """The next token, drawn from `logprobs` (vocabulary,) within top-k and top-p."""
    if sampling.temperature == 0 or sampling.top_k == 1:
        return int(logprobs.argmax())
    if sampling.top_k == -1 and sampling.top_p == 1:
        return int(torch.multinomial(logprobs.exp(), 1, generator=chance))
    probabilities, order = logprobs.exp().sort(descending=True)
    if sampling.top_k != -1:
        probabilities[sampling.top_k :] = 0
    probabilities[1:][(probabilities.cumsum(0) - probabilities)[1:] >= sampling.top_p] = 0  # the first always stays
    return int(order[torch.multinomial(probabilities, 1, generator=chance)])
