"""A whole program that goes on from a prefix, or begins afresh (method step 7)."""

from coderm_slime.llm import Completion
from coderm_slime.pycode import Program
from mcts.asking import Step
from mcts.config import Sampling
from mcts.failures import FailureReason, StepFailed
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
        program = program_of(answer.text, target.entry_point)
        if not task.prefix:
            return program
        if not program.code.startswith(task.prefix):
            raise StepFailed(FailureReason.NOT_FROM_PREFIX, f"begins with {program.code[: len(task.prefix)]!r}")
        program = program_of(answer.text, target.entry_point, kept=task.ends)
        if len(program.ends) <= len(task.ends):
            raise StepFailed(FailureReason.NOTHING_ADDED, "the program ends where the prefix ends")
        return program

    return await first_usable(asking, Step.EXPAND, sampling, task.rollout, messages, read)
