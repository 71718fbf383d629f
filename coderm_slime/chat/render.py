"""Question and answer as the reward model's token ids.

The chat template is rendered once, around two sentinels. What it holds besides them, control tokens included, is the
skeleton; question and answer are set into it as plain text and encoded by a copy of the tokenizer that knows no added
token at all. An answer that spells `<|im_end|>` is therefore text, wherever it stands. For text without such
spellings the ids equal those of Hugging Face's `apply_chat_template`, which compiling checks, once these rules are
applied: white space around the question, blank lines around the answer and white space at its end are taken off, lone
surrogates become '?', and a template that asks for the date is always told the same one (scores would change
overnight).

An input above the limit is shortened by one rule, `fit`, and never cut in the middle: the end-of-turn token, from
which the model reads its score, always stays.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coderm_slime.chat.fence import as_response
from coderm_slime.chat.template import (
    ANSWER,
    DEFAULT_MAX_TOKENS,
    QUESTION,
    SENTINELS,
    RenderError,
    Template,
    render_with_hugging_face,
)
from coderm_slime.pycode import answer_code
from coderm_slime.text import encodable

# A question shortened below this part of the limit no longer says what is asked.
_LEAST_QUESTION = 1 / 4


@dataclass(frozen=True)
class Rendered:
    """Token ids of one input, and whether something had to go to make them fit."""

    ids: list[int]
    shortened: bool = False


class Renderer:
    """Turns (question, answer) into token ids, the same way everywhere; safe to share between threads.

    Attributes:
        max_tokens: longest input that `render` gives.
        fingerprint: 16 hex digits over template, tokenizer, limit and rules; it goes with a checkpoint.
        turns: how the reward model's own template writes turns.

    Raises:
        RenderError: the tokenizer turns text into control tokens.
    """

    def __init__(self, template: Template) -> None:
        from tokenizers import Tokenizer  # not needed to read settings or verdicts

        self._plain = Tokenizer.from_str(template.plain)
        self._skeleton = template.skeleton
        self._max_chars = template.max_tokens * template.longest_token_chars
        self.max_tokens = template.max_tokens
        self.fingerprint = template.fingerprint
        self.turns = template.turns

    @classmethod
    def of(cls, tokenizer: Any, max_tokens: int = DEFAULT_MAX_TOKENS) -> "Renderer":
        """Compile and check a Hugging Face tokenizer.

        Raises:
            RenderError: see `Template.compile`; also where its ids would differ from
                `apply_chat_template`'s, or where text can spell a control token.
        """
        renderer = cls(Template.compile(tokenizer, max_tokens))
        renderer._check_plain({str(token): id_ for id_, token in tokenizer.added_tokens_decoder.items()})
        renderer._check_against(tokenizer)
        return renderer

    @classmethod
    def load(cls, model_path: str, max_tokens: int | None = None) -> "Renderer":
        """Load the compiled template in the folder `model_path` (`coderm prepare` writes it), else compile one.

        Keep it off an event loop: compiling takes seconds of CPU, the compiled form 0.2 s for a vocabulary of 49,000.

        Args:
            max_tokens: the limit; by default the checkpoint's own, 2,048 for one that states none.

        Raises:
            RenderError: see the class and `Template`; also when `model_path` is no folder (nothing is
                downloaded), holds no tokenizer, or was prepared for another limit.
        """
        folder = Path(model_path)
        if not folder.is_dir():
            raise RenderError(
                f"model_path={model_path!r} is no folder; name the local folder of the served checkpoint"
            )
        template = Template.saved_in(folder)
        if template is None:
            return cls.of(load_tokenizer(model_path), max_tokens or DEFAULT_MAX_TOKENS)
        if max_tokens not in (None, template.max_tokens):
            raise RenderError(
                f"max_tokens={max_tokens}, but {folder} was prepared for inputs of {template.max_tokens} tokens"
            )
        return cls(template)

    def render(self, question: str, answer: str) -> list[int] | None:
        """The ids of [user: question, assistant: answer] in the model's own template, end-of-turn token included.

        None where they would be more than `max_tokens`; text of megabytes is not even encoded for that.
        """
        if len(question) + len(answer) > self._max_chars:
            return None
        texts = {QUESTION: encodable(question).strip(), ANSWER: encodable(answer).strip("\r\n").rstrip()}
        filled = [
            piece if isinstance(piece, int) else SENTINELS.sub(lambda match: texts[match.group()], piece)
            for piece in self._skeleton
        ]
        # A batch is encoded without the interpreter's lock, a single text is not: this runs beside an event loop.
        encodings = self._plain.encode_batch(
            [text for text in filled if isinstance(text, str)], add_special_tokens=False
        )
        encoded = (encoding.ids for encoding in encodings)
        ids = [id_ for piece in filled for id_ in ([piece] if isinstance(piece, int) else next(encoded))]
        return ids if len(ids) <= self.max_tokens else None

    def fit(self, question: str, answer: str) -> Rendered | None:
        """`render`, shortened where it must be: the answer to its code block, then the question to its head.

        None where even that is too long: an answer without a code block, or code that would leave the question less
        than a quarter of the limit.
        """
        ids = self.render(question, answer)
        if ids is not None:
            return Rendered(ids)
        code = answer_code(answer)
        if code is None or len(code.code) > self._max_chars:  # megabytes of program are not worth parsing
            return None
        answer = as_response(code.code)
        ids = self.render(question, answer)
        if ids is None:
            ids = self._with_questions_head(question, answer)
        return None if ids is None else Rendered(ids, shortened=True)

    def _with_questions_head(self, question: str, answer: str) -> list[int] | None:
        around = self.render("", answer)
        room = 0 if around is None else self.max_tokens - len(around)
        if room < self.max_tokens * _LEAST_QUESTION:
            return None
        question = encodable(question[: self._max_chars]).strip()
        ends = [end for _, end in self._plain.encode(question, add_special_tokens=False).offsets]
        for tokens in range(room, 0, -1):  # a cut may split differently at its end: a token or two more
            ids = self.render(question[: ends[min(tokens, len(ends)) - 1]], answer)
            if ids is not None:
                return ids
        return None

    def _check_plain(self, added: dict[str, int]) -> None:
        leaks = [
            token for token, id_ in added.items() if id_ in self._plain.encode(token, add_special_tokens=False).ids
        ]
        if leaks:
            raise RenderError(f"this tokenizer turns text that spells {leaks} into the control token itself")

    def _check_against(self, tokenizer: Any) -> None:
        question, answer = "Add two numbers: a, b.", "Sure.\n\n```python\ndef add(a, b):\n    return a + b\n```"
        expected = list(render_with_hugging_face(tokenizer, question, answer, tokenize=True, return_dict=False))
        if len(expected) <= self.max_tokens and self.render(question, answer) != expected:
            raise RenderError(
                "this tokenizer splits the rendered template differently from apply_chat_template, so scores would "
                f"differ from training: {expected} against {self.render(question, answer)}"
            )


# transformers imports its parts as they are asked for, which two threads at once can see half done.
_loading = threading.Lock()


def load_tokenizer(model_path: str) -> Any:
    """The Hugging Face tokenizer in a local folder; nothing is downloaded.

    Raises:
        RenderError: there is none.
    """
    try:
        with _loading:
            from transformers import AutoTokenizer  # 1 s of import

            return AutoTokenizer.from_pretrained(model_path, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        # transformers speaks of its hub where there is no such folder
        why = error if Path(model_path).is_dir() else "it is no folder here; name a local folder with the tokenizer"
        raise RenderError(f"no tokenizer can be loaded from {model_path!r}: {why}") from error
