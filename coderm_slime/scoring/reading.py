"""What there is to ask the reward model about one response: token ids, or the floor that needs no asking.

All of it is CPU work on text, done off the event loop.
"""

from dataclasses import dataclass

from coderm_slime.chat import Renderer, Turns, final_answer
from coderm_slime.records import Reason
from coderm_slime.settings import Preset, Thinking

# `paper` knows one floor. Nothing can be asked about an answer that is too long, so that is the floor everywhere.
_PAPER_FLOORS = (Reason.UNCLOSED_THOUGHT, Reason.TOO_LONG)


@dataclass(frozen=True)
class Reading:
    """One response as it will be judged.

    Attributes:
        floor: why it is not asked about, None if it is.
        ids: the rendered input; empty for a floor.
        valid: whether it has a code block that parses; None where nobody looked.
    """

    floor: Reason | None = None
    ids: tuple[int, ...] = ()
    shortened: bool = False
    valid: bool | None = None


@dataclass(frozen=True)
class Response:
    """A policy's text and what is known of it, as `chat.final_answer` takes it."""

    question: str
    text: str
    prompt: object
    thinking: Thinking
    truncated: bool


def read(response: Response, renderer: Renderer, turns: Turns, preset: Preset) -> Reading:
    """Find the answer, look at its code, and render it."""
    answer = final_answer(
        response.text,
        turns=turns,
        prompt=response.prompt,
        thinking=response.thinking,
        truncated=response.truncated and preset == "robust",
    )
    if answer.floor is not None and _holds(answer.floor, preset):
        return Reading(answer.floor)
    rendered = renderer.fit(response.question, answer.text)
    if rendered is None:
        return Reading(Reason.TOO_LONG)
    fault = answer.fault_in_code()
    if fault is not None and _holds(fault, preset):
        return Reading(fault, valid=False)
    return Reading(None, tuple(rendered.ids), rendered.shortened, fault is None)


def _holds(floor: Reason, preset: Preset) -> bool:
    return preset == "robust" or floor in _PAPER_FLOORS
