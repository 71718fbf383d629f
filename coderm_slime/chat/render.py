"""Question and answer as the reward model's token ids.

The chat template is rendered once, around two sentinels. What it holds besides them, control tokens included, is the
skeleton; question and answer are set into it as plain text and encoded by a copy of the tokenizer that knows no added
token at all. An answer that spells `<|im_end|>` is therefore text, wherever it stands. For text without such
spellings the ids equal those of Hugging Face's `apply_chat_template`, which loading checks, once these rules are
applied: white space around the question, blank lines around the answer and white space at its end are taken off, lone
surrogates become '?', and a template that asks for the date is always told the same one (scores would change
overnight).
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from coderm_slime.errors import CodermError

_QUESTION = "SENTINELQUESTION7f3a"
_ANSWER = "SENTINELANSWER91bc"
_SENTINELS = re.compile(f"{_QUESTION}|{_ANSWER}")
# A template's own macro shadows the clock that transformers offers it; the day is the one Llama-3's template falls
# back to.
_FIXED_CLOCK = "{% macro strftime_now(format) %}26 Jul 2024{% endmacro %}"
_RULES = "1"  # part of the fingerprint: change it with the rules above


class RenderError(CodermError):
    """The checkpoint's tokenizer or chat template cannot be used safely. The text says why."""


class Renderer:
    """Turns (question, answer) into token ids, the same way everywhere; safe to share between threads.

    Attributes:
        max_tokens: longest input that `render` gives.
        fingerprint: 16 hex digits over template, tokenizer, limit and rules; it goes with a checkpoint.
        special_tokens: the tokenizer's control tokens, which a policy of the same family ends its response with.

    Raises:
        RenderError: no fast tokenizer, no chat template, or a template that changes or hides what it is given.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            raise RenderError(
                f"{type(tokenizer).__name__} has no fast tokenizer behind it (tokenizer.json); one is needed"
            )
        self.max_tokens = max_tokens
        added = {str(token): id_ for id_, token in tokenizer.added_tokens_decoder.items()}
        self.special_tokens = frozenset(str(t) for t in tokenizer.added_tokens_decoder.values() if t.special)
        state, skeleton = _state_of(tokenizer), _skeleton_text(tokenizer)
        self._plain = _without_added_tokens(state)
        self._max_chars = max_tokens * max(map(len, tokenizer.get_vocab()))
        self._skeleton = _split_controls(skeleton, added)
        basis = json.dumps([_RULES, max_tokens, skeleton, state], sort_keys=True)
        self.fingerprint = hashlib.sha256(basis.encode()).hexdigest()[:16]
        self._check_plain(added)
        self._check_against(tokenizer)

    @classmethod
    def load(cls, model_path: str, max_tokens: int) -> "Renderer":
        """Load the tokenizer in the folder `model_path`. Takes seconds of CPU: keep it off an event loop.

        Raises:
            RenderError: see the class; also when `model_path` is no folder (nothing is downloaded) or holds no
                tokenizer.
        """
        if not Path(model_path).is_dir():
            raise RenderError(
                f"model_path={model_path!r} is no folder; name the local folder of the served checkpoint"
            )
        from transformers import AutoTokenizer  # 1 s of import, and not needed to read settings or verdicts

        try:
            tokenizer = AutoTokenizer.from_pretrained(model_path, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise RenderError(f"no tokenizer can be loaded from model_path={model_path!r}: {error}") from error
        return cls(tokenizer, max_tokens)

    def render(self, question: str, answer: str) -> list[int] | None:
        """The ids of [user: question, assistant: answer] in the model's own template, end-of-turn token included.

        None where they would be more than `max_tokens`; text of megabytes is not even encoded for that.
        """
        if len(question) + len(answer) > self._max_chars:  # no token stands for more characters than the longest one
            return None
        texts = {_QUESTION: _encodable(question).strip(), _ANSWER: _encodable(answer).strip("\r\n").rstrip()}
        filled = [
            piece if isinstance(piece, int) else _SENTINELS.sub(lambda match: texts[match.group()], piece)
            for piece in self._skeleton
        ]
        # A batch is encoded without the interpreter's lock, a single text is not: this runs beside an event loop.
        encodings = self._plain.encode_batch(
            [text for text in filled if isinstance(text, str)], add_special_tokens=False
        )
        encoded = (encoding.ids for encoding in encodings)
        ids = [id_ for piece in filled for id_ in ([piece] if isinstance(piece, int) else next(encoded))]
        return ids if len(ids) <= self.max_tokens else None

    def _check_plain(self, added: dict[str, int]) -> None:
        leaks = [
            token for token, id_ in added.items() if id_ in self._plain.encode(token, add_special_tokens=False).ids
        ]
        if leaks:
            raise RenderError(f"this tokenizer turns text that spells {leaks} into the control token itself")

    def _check_against(self, tokenizer: Any) -> None:
        question, answer = "Add two numbers: a, b.", "Sure.\n\n```python\ndef add(a, b):\n    return a + b\n```"
        expected = list(_template(tokenizer, question, answer, tokenize=True, return_dict=False))
        if len(expected) <= self.max_tokens and self.render(question, answer) != expected:
            raise RenderError(
                "this tokenizer splits the rendered template differently from apply_chat_template, so scores would "
                f"differ from training: {expected} against {self.render(question, answer)}"
            )


def _template(tokenizer: Any, question: str, answer: str, **options: Any) -> Any:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    template = tokenizer.get_chat_template()
    if "strftime_now" in template:
        template = _FIXED_CLOCK + template
    return tokenizer.apply_chat_template(messages, chat_template=template, **options)


def _skeleton_text(tokenizer: Any) -> str:
    if not tokenizer.chat_template:
        raise RenderError("the tokenizer has no chat template; a reward model is trained with one")
    text = str(_template(tokenizer, _QUESTION, _ANSWER, tokenize=False))
    if _SENTINELS.findall(text) != [_QUESTION, _ANSWER]:
        raise RenderError(f"the chat template does not show question and answer once each, in order: {text!r}")
    return text


def _split_controls(text: str, added: dict[str, int]) -> tuple[int | str, ...]:
    """Cut `text` at its added tokens: ids for them, strings between them."""
    if not added:
        return (text,)
    longest_first = sorted(added, key=len, reverse=True)
    pieces = re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text)
    return tuple(added.get(piece, piece) for piece in pieces if piece)


def _state_of(tokenizer: Any) -> dict[str, Any]:
    """What the fast tokenizer does to text, less the truncation and padding that its file or last call left on."""
    state: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return state | {"truncation": None, "padding": None}


def _without_added_tokens(state: dict[str, Any]) -> Any:
    """A copy of the fast tokenizer to which every text is plain text."""
    from tokenizers import Tokenizer

    # The post-processor would add BOS and EOS; the template writes its own.
    return Tokenizer.from_str(json.dumps(state | {"added_tokens": [], "post_processor": None}))


def _encodable(text: str) -> str:
    """`text` with lone surrogates, which no encoder takes, as '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")
