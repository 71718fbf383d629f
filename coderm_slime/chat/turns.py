"""How a policy's chat template writes turns, learnt from the template itself: sentinels are rendered and looked for.

With it the question is found in a prompt that slime has already templated, and an answer is cut where its turn ends.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict

from coderm_slime.errors import CodermError

_SYSTEM, _FIRST, _REPLY, _SECOND = "SENTINELSYSTEM4c1e", "SENTINELFIRST88d0", "SENTINELREPLY25fa", "SENTINELSECOND6b97"


class QuestionError(CodermError):
    """The sample does not show its question. The text says where it may stand."""


class TurnsError(CodermError):
    """The policy's chat template does not show how it writes turns."""


class Turns(BaseModel):
    """The marks between turns, as text.

    Attributes:
        user_opens: what stands before every user turn.
        user_closes: what stands between a user turn and the assistant's, both marks.
        user_follows: what stands between an assistant turn and the next user turn, both marks.
        control_tokens: the tokenizer's control tokens; a response ends with one or more of them.
        bare_prompts: there is no chat template (a base model), so that a prompt is the question as it stands.
    """

    model_config = ConfigDict(frozen=True)

    user_opens: str
    user_closes: str
    user_follows: str
    control_tokens: tuple[str, ...]
    bare_prompts: bool = False

    @classmethod
    def learn(cls, tokenizer: Any) -> "Turns":
        """Read them off `tokenizer`'s chat template.

        Raises:
            TurnsError: the template fails, writes nothing around a user turn, or drops a turn.
        """
        if not tokenizer.chat_template:
            return cls.only_tokens(tokenizer).model_copy(update={"bare_prompts": True})
        try:
            asked = _split(tokenizer, [("user", _FIRST)], add_generation_prompt=True)
            talk = _split(tokenizer, [("user", _FIRST), ("assistant", _REPLY), ("user", _SECOND)])
        except Exception as error:  # a template is foreign code: jinja's errors and its own
            raise TurnsError(f"the policy's chat template cannot be read: {type(error).__name__}: {error}") from error
        before_user = [asked[0], talk[2]]
        with suppress(Exception):  # some templates refuse a system turn, and then no prompt has one
            before_user.append(_split(tokenizer, [("system", _SYSTEM), ("user", _FIRST)])[1])
        user_opens = _common_start([text[::-1] for text in before_user])[::-1]
        user_closes = _common_start([asked[1], talk[1]])
        if not user_opens.strip() or not user_closes.strip():
            raise TurnsError(f"the policy's chat template writes no marks around a user turn: {talk!r}")
        return cls(
            user_opens=user_opens,
            user_closes=user_closes,
            user_follows=talk[2],
            control_tokens=_control_tokens(tokenizer),
        )

    @classmethod
    def only_tokens(cls, tokenizer: Any) -> "Turns":
        """No marks, only control tokens: for a reward model whose template takes no talk but the one it judges."""
        return cls(user_opens="", user_closes="", user_follows="", control_tokens=_control_tokens(tokenizer))

    def question_in(self, prompt: str) -> str:
        """The last user turn of a templated `prompt`, or a bare prompt itself, white space around it taken off.

        Raises:
            QuestionError: the prompt is not in this template, or its last user turn is empty.
        """
        if self.bare_prompts:
            return self._bare_question(prompt)
        opens = prompt.rfind(self.user_opens) if self.user_opens else -1
        closes = prompt.rfind(self.user_closes, opens + len(self.user_opens))
        if opens < 0 or closes < 0:
            raise QuestionError(
                f"the prompt shows no user turn between {self.user_opens!r} and {self.user_closes!r}, which is how "
                f"the policy's chat template writes one: {prompt[:80]!r}…"
            )
        question = prompt[opens + len(self.user_opens) : closes].strip()
        if not question:
            raise QuestionError("the last user turn of the templated prompt is empty")
        return question

    def _bare_question(self, prompt: str) -> str:
        if marks := [token for token in self.control_tokens if token in prompt]:
            raise QuestionError(
                f"the prompt holds {marks}, so a chat template wrote it, but the policy's folder has none: "
                f"{prompt[:80]!r}…"
            )
        if not prompt.strip():
            raise QuestionError("the prompt is empty")
        return prompt.strip()

    def answer_in(self, response: str) -> str:
        """`response` without what follows the mark of a next turn, and without stop tokens at its end."""
        ends = [
            match.start() for mark in (self.user_follows, self.user_closes) if (match := self._find(mark, response))
        ]
        return _without_trailing(response[: min(ends, default=len(response))], self.control_tokens)

    def _find(self, mark: str, text: str) -> re.Match[str] | None:
        """`mark` in `text`: to the letter, or with any white space around it where control tokens make it certain."""
        if not mark.strip():
            return None
        if any(token in mark for token in self.control_tokens if token):
            return re.search(r"\s*".join(map(re.escape, mark.split())), text)
        return re.search(re.escape(mark), text)


def _control_tokens(tokenizer: Any) -> tuple[str, ...]:
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(special | ({str(tokenizer.eos_token)} if tokenizer.eos_token else set())))


def _split(tokenizer: Any, turns: list[tuple[str, str]], **options: Any) -> list[str]:
    """The rendered text before, between and after the sentinels."""
    messages = [{"role": role, "content": content} for role, content in turns]
    text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    pieces = re.split("|".join(content for _, content in turns), text)
    if len(pieces) != len(turns) + 1:
        raise TurnsError(f"{len(turns)} turns went in, {len(pieces) - 1} came out: {text!r}")
    return pieces


def _common_start(texts: Sequence[str]) -> str:
    shortest = min(texts, key=len)
    same = (all(text[at] == shortest[at] for text in texts) for at in range(len(shortest)))
    return shortest[: next((at for at, equal in enumerate(same) if not equal), len(shortest))]


def _without_trailing(text: str, tokens: Iterable[str]) -> str:
    stops = tuple(sorted(filter(None, tokens), key=len, reverse=True))
    end = len(text)  # an index, not a shorter copy each time: a response may be a hundred thousand stop tokens
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        if not text.endswith(stops, 0, end):
            return text[:end]
        end -= next(len(token) for token in stops if text.endswith(token, 0, end))
