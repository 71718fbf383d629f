"""The question a sample asks: the last user turn of its messages, or of its templated prompt."""

from collections.abc import Mapping, Sequence
from typing import Any

from coderm_slime.chat.turns import QuestionError, Turns


def last_user_turn(prompt: object, metadata: Mapping[str, Any] | None = None, turns: Turns | None = None) -> str:
    """Find the question: in `metadata["messages"]`, else in `prompt`: a list of messages, or templated text.

    slime's `--apply-chat-template` turns the prompt into a string and drops the messages. The surest way is a data row
    that keeps them in its metadata. Templated text is read by `turns`, the policy's own marks; without them, or where
    they do not fit, it is an error: an empty or wrong question would be scored without anyone noticing. Messages that
    are None are no messages; in any other form than a list they are an error, too.

    Raises:
        QuestionError: no messages, no user turn with text in them, or a text that `turns` does not fit.
    """
    kept = (metadata or {}).get("messages")
    if kept is None and isinstance(prompt, str) and turns is not None:
        return turns.question_in(prompt)
    messages = prompt if kept is None else kept
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        if kept is not None:
            raise QuestionError(
                f'metadata["messages"] is a {type(kept).__name__} and not a list: keep the chat messages there as '
                "a list of objects with role and content, or leave the key out"
            )
        raise QuestionError(
            f"the sample carries no messages (its prompt is a {type(prompt).__name__}) and the policy's chat template "
            "is not known. Keep each data row's chat messages under the key 'messages' of its metadata column (slime: "
            "--metadata-key), or name the policy's folder: slime's --hf-checkpoint, else coderm.rm.policy_path"
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
