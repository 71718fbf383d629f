"""The part of a response that is judged: what follows the last closed thought, without the policy's stop tokens."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from coderm_slime.records import Reason

THOUGHT_OPENS = "<think>"
THOUGHT_CLOSES = "</think>"


@dataclass(frozen=True)
class Answer:
    """The text to judge, or the floor that it earns without being judged."""

    text: str
    floor: Reason | None = None


def final_answer(
    response: str,
    *,
    prompt: object = None,
    thinking: Literal["auto", "always", "never"] = "auto",
    stop_tokens: Collection[str] = (),
) -> Answer:
    """Cut a policy's response down to its answer (paper section 4: the response after the last `</think>`).

    Args:
        response: as generated, stop tokens included (slime keeps them).
        prompt: what the policy read; a string that ends by opening a thought shows a thinking policy.
        thinking: `never` takes the response as it is, `always` demands a closed thought, `auto` demands one where the
            prompt or the response opens or closes a thought.
        stop_tokens: the policy tokenizer's special tokens, taken off the end.
    """
    text = _without_stop_tokens(response, stop_tokens)
    if thinking == "always" or (thinking == "auto" and _thinks(prompt, text)):
        _, closed, text = text.rpartition(THOUGHT_CLOSES)
        if not closed:
            return Answer("", Reason.UNCLOSED_THOUGHT)
    text = text.strip("\r\n").rstrip()
    return Answer(text) if text.strip() else Answer("", Reason.EMPTY_ANSWER)


def _thinks(prompt: object, response: str) -> bool:
    opened_by_prompt = isinstance(prompt, str) and prompt.rstrip().endswith(THOUGHT_OPENS)
    return opened_by_prompt or THOUGHT_CLOSES in response or response.lstrip().startswith(THOUGHT_OPENS)


def _without_stop_tokens(text: str, stop_tokens: Collection[str]) -> str:
    stops = tuple(sorted(filter(None, stop_tokens), key=len, reverse=True))
    end = len(text)  # an index, not a shorter copy each time: a response may be a hundred thousand stop tokens
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        if not text.endswith(stops, 0, end):
            return text[:end]
        end -= next(len(token) for token in stops if text.endswith(token, 0, end))
