"""The part of a response that is judged: what follows the last closed thought, within the policy's own turn."""

from dataclasses import dataclass
from typing import Literal

from coderm_slime.chat.turns import Turns
from coderm_slime.pycode import CodeBlock, answer_code, blocks, parses
from coderm_slime.records import Reason

THOUGHT_OPENS = "<think>"
THOUGHT_CLOSES = "</think>"


@dataclass(frozen=True)
class Answer:
    """The text to judge, or the floor that it earns without being judged.

    Attributes:
        code: the block that is its program (`pycode.answer_code`), None where it has none.
    """

    text: str
    floor: Reason | None = None
    code: CodeBlock | None = None

    def fault_in_code(self) -> Reason | None:
        """The floor of an answer whose program is missing or does not parse; None for one that does."""
        if self.code is None or not self.code.code.strip():
            return Reason.NO_CODE
        return None if parses(self.code.code) else Reason.SYNTAX_ERROR


def final_answer(
    response: str,
    *,
    turns: Turns,
    prompt: object = None,
    thinking: Literal["auto", "always", "never"] = "auto",
    truncated: bool = False,
) -> Answer:
    """Cut a policy's response down to its answer (paper section 4: the response after the last `</think>`).

    Args:
        response: as generated, stop tokens included (slime keeps them).
        turns: how the policy writes turns: whatever follows the end of its own is no answer.
        prompt: what the policy read; a string that ends by opening a thought shows a thinking policy.
        thinking: `never` takes the response as it is, `always` demands a closed thought, `auto` demands one where the
            prompt or the response opens one; where neither does, a `</think>` outside the response's closed code
            blocks ends a thought all the same (the prompt's tokens may have opened it), one inside is code.
        truncated: generation was stopped by its limit, so that a code block which is not closed is not all there.
    """
    text = turns.answer_in(response)
    if thinking == "always" or (thinking == "auto" and _opens_thought(prompt, text)):
        _, closed, text = text.rpartition(THOUGHT_CLOSES)
        if not closed:
            return Answer("", Reason.UNCLOSED_THOUGHT)
    elif thinking == "auto" and THOUGHT_CLOSES in text:
        text = _after_close_outside_code(text)
    text = text.strip("\r\n").rstrip()
    code = answer_code(text)
    if truncated and not (code and code.closed):
        return Answer(text, Reason.TRUNCATED, code)
    return Answer(text, None if text.strip() else Reason.EMPTY_ANSWER, code)


def _opens_thought(prompt: object, response: str) -> bool:
    opened_by_prompt = isinstance(prompt, str) and prompt.rstrip().endswith(THOUGHT_OPENS)
    return opened_by_prompt or response.lstrip().startswith(THOUGHT_OPENS)


def _after_close_outside_code(text: str) -> str:
    """What follows the last `</think>` that no closed code block holds; all of `text` where each is in one."""
    edge = len(text)
    for start, end in [(0, 0), *((block.start, block.end) for block in blocks(text) if block.closed)][::-1]:
        close = text.rfind(THOUGHT_CLOSES, end, edge)
        if close >= 0:
            return text[close + len(THOUGHT_CLOSES) :]
        edge = start
    return text
