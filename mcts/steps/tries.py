"""Ask, read, ask again: a bounded number of tries, each a sample of its own. Not here: what an answer is read as."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from coderm_slime.llm import Completion, Message
from coderm_slime.pycode import Program, SourceError, entry_points, program_in, python_blocks
from mcts.asking import Ask, Step
from mcts.config import Sampling
from mcts.failures import FailureReason, StepFailed
from mcts.prompts import Prompts

T = TypeVar("T")
_SHOWN_CHARS = 200


class SeedOf(Protocol):
    """The seed of one try, by what the try is for and never by when it is made."""

    def __call__(self, step: Step, rollout: int, attempt: int) -> int: ...


@dataclass(frozen=True)
class Asking:
    """How the steps of one problem ask.

    Attributes:
        note: is told of every try that came to nothing.
    """

    ask: Ask
    prompts: Prompts
    seed_of: SeedOf
    note: Callable[[Step, FailureReason], None]


async def first_usable(
    asking: Asking,
    step: Step,
    sampling: Sampling,
    rollout: int,
    messages: Sequence[Message],
    read: Callable[[Completion], T],
) -> T:
    """The first answer that `read` takes.

    Args:
        read: raises StepFailed for an answer that cannot be used.

    Raises:
        StepFailed: none of `sampling.tries` answers could be used; the last one's reason.
        HttpError: no endpoint answered.
    """
    failure: StepFailed | None = None
    for attempt in range(sampling.tries):
        seed = asking.seed_of(step, rollout, attempt)
        answer = await asking.ask(step, messages, sampling, seed=seed)
        try:
            return read(answer)
        except StepFailed as error:
            asking.note(step, error.reason)
            failure = error
    assert failure is not None, "a step has one try at least"
    raise failure


def check_whole(answer: Completion) -> None:
    """Refuse an answer that its length limit cut off. Raises StepFailed."""
    if answer.finish_reason == "length":
        raise StepFailed(FailureReason.LENGTH, f"cut off at max_tokens: …{answer.text[-_SHOWN_CHARS:]}")


def program_of(response: str, entry_point: str, prefix: str = "", ends: Sequence[int] = ()) -> Program:
    """The one program of a response, which defines `entry_point` and goes on from `prefix`, letter for letter.

    Args:
        ends: where the prefix's steps end in it.

    Raises:
        StepFailed: there is not exactly one closed Python block, or its code does not parse, lacks the name, begins
            otherwise or adds nothing.
    """
    try:
        program = program_in(response, ends)
        defined = entry_points(program.code) if program else []
    except SourceError as error:
        raise _why_none(response, prefix, str(error)) from None
    if program is None or not program.code.startswith(prefix):
        raise _why_none(response, prefix)
    if entry_point not in defined:
        raise StepFailed(FailureReason.NO_ENTRY_POINT, f"defines {', '.join(defined) or 'nothing'}, not {entry_point}")
    if len(program.ends) <= len(ends):
        raise StepFailed(FailureReason.NOTHING_ADDED, "the program ends where the prefix ends")
    return program


def _why_none(response: str, prefix: str, fault: str = "") -> StepFailed:
    found = python_blocks(response)
    if len(found) > 1:
        return StepFailed(FailureReason.SEVERAL_BLOCKS, f"{len(found)} Python blocks")
    if not found or not found[0].closed or not found[0].code.strip():
        return StepFailed(FailureReason.NO_CODE, f"no closed Python block: {response[:_SHOWN_CHARS]}")
    if not found[0].code.startswith(prefix):
        return StepFailed(FailureReason.NOT_FROM_PREFIX, f"begins with {found[0].code[: len(prefix)]!r}")
    return StepFailed(FailureReason.SYNTAX_ERROR, fault)
