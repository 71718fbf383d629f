"""What was spent, by step: answers, tokens, cost, tries that came to nothing. Amounts add up across rows and runs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from coderm_slime.llm import Completion, LlmEndpoint
from mcts.asking import Step
from mcts.failures import FailureReason

Amounts = Mapping[str, float]
"""By name: `<step>.calls`, `.prompt_tokens`, `.completion_tokens`, `.unmetered` (answers that did not say), `.usd`,
`.unpriced` (answers of endpoints without a price), `.failed.<reason>`."""


class Spent(Counter[str]):
    """Amounts that grow as answers come. A counter holds what is not zero."""

    def answer(self, step: Step, answer: Completion, endpoint: LlmEndpoint) -> None:
        """Count one answer."""
        self[f"{step.value}.calls"] += 1
        if answer.prompt_tokens is None or answer.completion_tokens is None:
            self[f"{step.value}.unmetered"] += 1
            return
        self[f"{step.value}.prompt_tokens"] += answer.prompt_tokens
        self[f"{step.value}.completion_tokens"] += answer.completion_tokens
        usd = endpoint.usd(answer.prompt_tokens, answer.completion_tokens)
        if usd is None:
            self[f"{step.value}.unpriced"] += 1
        else:
            self[f"{step.value}.usd"] += usd  # type: ignore[assignment]  # a Counter adds floats as well

    def failed(self, step: Step, reason: FailureReason) -> None:
        """Count one try that came to nothing."""
        self[f"{step.value}.failed.{reason.value}"] += 1


@dataclass(frozen=True)
class StepSpent:
    """One step's sums. `usd` is None where an answer came from an endpoint without a price."""

    step: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    unmetered: int
    usd: float | None
    failed: dict[str, int]


def by_step(amounts: Amounts) -> Iterator[StepSpent]:
    """The sums of each step that spent anything, in the order of the steps."""
    for step in Step:
        own = {
            name.removeprefix(f"{step.value}."): value
            for name, value in amounts.items()
            if name.startswith(f"{step.value}.")
        }
        if own:
            failed = {
                name.removeprefix("failed."): int(value) for name, value in own.items() if name.startswith("failed.")
            }
            yield StepSpent(
                step=step.value,
                calls=int(own.get("calls", 0)),
                prompt_tokens=int(own.get("prompt_tokens", 0)),
                completion_tokens=int(own.get("completion_tokens", 0)),
                unmetered=int(own.get("unmetered", 0)),
                usd=None if own.get("unpriced") else own.get("usd", 0.0),
                failed=failed,
            )
