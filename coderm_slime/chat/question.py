"""The question a sample asks: the last user turn of its messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from coderm_slime.errors import CodermError


class QuestionError(CodermError):
    """The sample does not show its question. The text says where it may stand."""


def last_user_turn(prompt: object, metadata: Mapping[str, Any] | None = None) -> str:
    """Find the question: in `metadata["messages"]`, else in `prompt` where that is a list of messages.

    slime's `--apply-chat-template` turns the prompt into a string and drops the messages, so a data row keeps them in
    its metadata. A prompt that is a string is an error: its format would have to be guessed, and an empty or wrong
    question would be scored without anyone noticing.

    Raises:
        QuestionError: no messages, or no user turn with text in them.
    """
    messages = (metadata or {}).get("messages", prompt)
    if isinstance(messages, str) or not isinstance(messages, Sequence):
        raise QuestionError(
            f"the sample carries no messages (its prompt is a {type(prompt).__name__}). Keep each data row's chat "
            "messages under the key 'messages' of its metadata column (slime: --metadata-key)"
        )
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role") == "user":
            text = _text_of(message.get("content"))
            if text.strip():
                return text.strip()
            raise QuestionError("the last user turn is empty")
    raise QuestionError(f"no user turn among {len(messages)} messages")


def _text_of(content: object) -> str:
    """The text of a message's content: a string, or OpenAI's list of parts, of which only text is known here."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        if len(parts) == len(content) and all(isinstance(part, str) for part in parts):
            return "".join(str(part) for part in parts)
    raise QuestionError(
        f"the last user turn's content is neither text nor a list of text parts: {type(content).__name__}"
    )
