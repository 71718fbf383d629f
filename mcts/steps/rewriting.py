"""The first path (method step 2): the reference solution rewritten with prints, or as it is."""

from coderm_slime.chat import as_response
from coderm_slime.llm import Completion
from coderm_slime.pycode import Program
from mcts.asking import Step
from mcts.config import Sampling
from mcts.failures import FailureReason, StepFailed
from mcts.steps.kept import keeps_code
from mcts.steps.target import Target
from mcts.steps.tries import Asking, check_whole, first_usable, program_of


async def rewrite(asking: Asking, sampling: Sampling, target: Target) -> Program:
    """A plan and the solution with prints, all of its code kept.

    Raises:
        StepFailed: no answer could be used; `changed_code` where prints were not all that was added.
        HttpError: no endpoint answered.
    """
    messages = asking.prompts.messages(
        "rewrite", problem=target.problem, solution=target.solution, entry_point=target.entry_point
    )

    def read(answer: Completion) -> Program:
        check_whole(answer)
        program = program_of(answer.text, target.entry_point)
        if not keeps_code(target.solution, program.code):
            raise StepFailed(
                FailureReason.CHANGED_CODE, "the rewritten program has other statements than the solution"
            )
        return program

    return await first_usable(asking, Step.REWRITE, sampling, 0, messages, read)


def reference_response(target: Target) -> Program:
    """The solution as it is, in one Python block.

    Raises:
        StepFailed: it cannot stand in one block.
    """
    return program_of(as_response(target.solution), target.entry_point)
