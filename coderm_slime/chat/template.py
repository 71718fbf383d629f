"""A reward model's chat template and tokenizer, compiled once into what rendering needs.

Compiling takes transformers, and checks the result against Hugging Face's `apply_chat_template`. What it gives is
plain data: it can be written beside a checkpoint and read back without transformers, in a fraction of the time.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from coderm_slime.chat.turns import Turns, TurnsError
from coderm_slime.errors import CodermError

QUESTION = "SENTINELQUESTION7f3a"
ANSWER = "SENTINELANSWER91bc"
SENTINELS = re.compile(f"{QUESTION}|{ANSWER}")
RULES = "2"  # part of the fingerprint: change it with the rules in `render` and `fit`
DEFAULT_MAX_TOKENS = 2048  # what the paper trained with
TEMPLATE_FILE = "coderm_template.json"
TOKENIZER_FILE = "coderm_tokenizer.json"
# What a compiled template was made from; where one of them changes later, the compiled form is stale.
_SOURCES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
# A template's own macro shadows the clock that transformers offers it; the day is the one Llama-3's template falls
# back to.
_FIXED_CLOCK = "{% macro strftime_now(format) %}26 Jul 2024{% endmacro %}"


class RenderError(CodermError):
    """The checkpoint's tokenizer or chat template cannot be used safely. The text says why."""


class Template(BaseModel):
    """What `Renderer` needs of a tokenizer and its chat template.

    Attributes:
        max_tokens: longest input.
        skeleton: the rendered template in pieces: control tokens as ids, text with the sentinels in it.
        longest_token_chars: no token stands for more characters.
        turns: how this model's own template writes turns.
        plain: the fast tokenizer, as JSON text, without its added tokens: to it every text is plain text.
    """

    model_config = ConfigDict(frozen=True)

    rules: str = RULES
    max_tokens: int
    skeleton: tuple[int | str, ...]
    longest_token_chars: int
    turns: Turns
    plain: str

    @property
    def fingerprint(self) -> str:
        """16 hex digits over template, tokenizer, limit and rules; it goes with a checkpoint."""
        basis = json.dumps([self.rules, self.max_tokens, self.skeleton, _digest(self.plain.encode())])
        return _digest(basis.encode())[:16]

    @classmethod
    def compile(cls, tokenizer: Any, max_tokens: int) -> "Template":
        """Compile a Hugging Face tokenizer.

        Raises:
            RenderError: no fast tokenizer, no chat template, or a template that changes or hides what it is given.
        """
        if getattr(tokenizer, "backend_tokenizer", None) is None:
            raise RenderError(
                f"{type(tokenizer).__name__} has no fast tokenizer behind it (tokenizer.json); one is needed"
            )
        added = {str(token): id_ for id_, token in tokenizer.added_tokens_decoder.items()}
        return cls(
            max_tokens=max_tokens,
            skeleton=_split_controls(_skeleton_text(tokenizer), added),
            longest_token_chars=max(map(len, tokenizer.get_vocab())),
            turns=_turns(tokenizer),
            plain=_without_added_tokens(tokenizer),
        )

    def save(self, folder: Path) -> None:
        """Write the compiled form into a checkpoint's folder, with what it was made from."""
        (folder / TOKENIZER_FILE).write_text(self.plain)
        card = self.model_dump(mode="json", exclude={"plain"}) | {"sources": _sources(folder)}
        (folder / TEMPLATE_FILE).write_text(json.dumps(card, indent=1))

    @classmethod
    def saved_in(cls, folder: Path) -> "Template | None":
        """The compiled form in `folder`, None if there is none.

        Raises:
            RenderError: it is damaged, of other rules, or older than the tokenizer beside it.
        """
        if not (folder / TEMPLATE_FILE).is_file():
            return None
        again = "run `coderm prepare` again"
        try:
            card = json.loads((folder / TEMPLATE_FILE).read_text())
            sources = card.pop("sources")
            template = cls.model_validate(card | {"plain": (folder / TOKENIZER_FILE).read_text()})
        except (OSError, ValueError, ValidationError, LookupError, AttributeError, TypeError) as error:
            raise RenderError(f"{folder / TEMPLATE_FILE} cannot be read, {again}: {error}") from error
        if template.rules != RULES:
            raise RenderError(f"{folder} was prepared under rules {template.rules}, these are {RULES}: {again}")
        if sources != _sources(folder):
            raise RenderError(f"the tokenizer or chat template in {folder} changed since it was prepared: {again}")
        return template


def render_with_hugging_face(tokenizer: Any, question: str, answer: str, **options: Any) -> Any:
    """`apply_chat_template` over [user, assistant], on the one fixed day for templates that ask for the date."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    template = tokenizer.get_chat_template()
    if "strftime_now" in template:
        template = _FIXED_CLOCK + template
    return tokenizer.apply_chat_template(messages, chat_template=template, **options)


def _skeleton_text(tokenizer: Any) -> str:
    if not tokenizer.chat_template:
        raise RenderError("the tokenizer has no chat template; a reward model is trained with one")
    text = str(render_with_hugging_face(tokenizer, QUESTION, ANSWER, tokenize=False))
    if SENTINELS.findall(text) != [QUESTION, ANSWER]:
        raise RenderError(f"the chat template does not show question and answer once each, in order: {text!r}")
    return text


def _turns(tokenizer: Any) -> Turns:
    try:
        return Turns.learn(tokenizer)
    except TurnsError:  # a reward model's template may be made for the one exchange that it judges
        return Turns.only_tokens(tokenizer)


def _split_controls(text: str, added: dict[str, int]) -> tuple[int | str, ...]:
    """Cut `text` at its added tokens: ids for them, strings between them."""
    if not added:
        return (text,)
    longest_first = sorted(added, key=len, reverse=True)
    pieces = re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text)
    return tuple(added.get(piece, piece) for piece in pieces if piece)


def _without_added_tokens(tokenizer: Any) -> str:
    """The fast tokenizer's state, less what its file or last call left on and what the template writes itself."""
    state: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    model = state["model"]
    # Some vocabularies lack bytes and name a control token for what they do not know: an answer with such a byte would
    # end the turn. Without it the byte is left out.
    if model["type"] == "BPE" and model["unk_token"] in [token["content"] for token in state["added_tokens"]]:
        model["unk_token"] = None
    plain = state | {"truncation": None, "padding": None, "added_tokens": [], "post_processor": None}
    return json.dumps(plain, sort_keys=True)


def _sources(folder: Path) -> dict[str, str]:
    return {name: _digest((folder / name).read_bytes()) for name in _SOURCES if (folder / name).is_file()}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
