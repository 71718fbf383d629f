"""Sample calls (method step 3): inputs only, no expected results. `calls` reads them out of an answer."""

from coderm_slime.llm import Completion
from mcts.asking import Step
from mcts.config import Sampling
from mcts.failures import FailureReason, StepFailed
from mcts.steps.calls import calls_in
from mcts.steps.target import Target
from mcts.steps.tries import Asking, check_whole, first_usable

_SHOWN_CHARS = 200


async def sample_calls(asking: Asking, sampling: Sampling, target: Target, max_calls: int) -> str:
    """Up to `max_calls` calls of the entry point, one statement on each line; never empty.

    Raises:
        StepFailed: no answer held a call; `no_calls`.
        HttpError: no endpoint answered.
    """
    messages = asking.prompts.messages(
        "calls",
        problem=target.problem,
        solution=target.solution,
        entry_point=target.entry_point,
        max_calls=max_calls,
    )

    def read(answer: Completion) -> str:
        found = calls_in(answer.text, target.entry_point, target.names, max_calls)
        if found:  # also of an answer that was cut off: each call that is whole is as good as any
            return "\n".join(found)
        check_whole(answer)
        raise StepFailed(FailureReason.NO_CALLS, f"no call of {target.entry_point}: {answer.text[:_SHOWN_CHARS]}")

    return await first_usable(asking, Step.CALLS, sampling, 0, messages, read)
