"""A whole program that goes on from a prefix, or begins afresh (method step 7)."""

from coderm_slime.llm import Completion
from coderm_slime.pycode import Program
from mcts.asking import Step
from mcts.config import Sampling
from mcts.search import Task
from mcts.steps.target import Target
from mcts.steps.tries import Asking, check_whole, first_usable, program_of


async def expand(asking: Asking, sampling: Sampling, target: Target, task: Task) -> Program:
    """A program that begins with `task.prefix`, letter for letter, goes on, and defines the entry point.

    Raises:
        StepFailed: no answer could be used.
        HttpError: no endpoint answered.
    """
    messages = asking.prompts.messages(
        "expand",
        problem=target.problem,
        entry_point=target.entry_point,
        signature=target.signature,
        prefix=task.prefix,
        reflection=task.reflection,
    )

    def read(answer: Completion) -> Program:
        check_whole(answer)
        return program_of(answer.text, target.entry_point, task.prefix, task.ends)

    return await first_usable(asking, Step.EXPAND, sampling, task.rollout, messages, read)
