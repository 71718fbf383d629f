"""How a step asks a language model: the seam between the steps and the engine that bounds, counts and seeds."""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from coderm_slime.llm import Completion, Message
from mcts.config import Sampling


class Step(str, Enum):
    """What a request is for; calls, tokens and cost are counted by it."""

    REWRITE = "rewrite"
    CALLS = "calls"
    EXPAND = "expand"
    JUDGE = "judge"


class Ask(Protocol):
    """Asks for one answer.

    Raises:
        HttpError: no endpoint gave a usable answer in time.
    """

    async def __call__(
        self,
        step: Step,
        messages: Sequence[Message],
        sampling: Sampling,
        *,
        seed: int,
        top_logprobs: int | None = None,
    ) -> Completion: ...
