"""A chat completion: what one is, and how it is read from a reply that may be anything. Sends nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from coderm_slime.llm.endpoint import LlmEndpoint

M = TypeVar("M", bound=BaseModel)
_Count = Annotated[int, Field(ge=0, le=2**31)]  # more is beyond any reply: noise that would spoil the sums


class Message(TypedDict):
    """One turn, as the protocol writes it."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class TokenLogprob:
    """One token of an answer.

    Attributes:
        logprob: natural logarithm of its probability; the server decides whether before or after the temperature.
        top: the likeliest tokens at its place, by text; of two that read the same, the likelier. The chosen token
            need not be among them.
    """

    token: str
    logprob: float
    top: Mapping[str, float]


@dataclass(frozen=True)
class Completion:
    """One answer.

    Attributes:
        text: of a pool's answers empty only where `finish_reason` is "length": a model may spend all its tokens on a
            hidden thought.
        finish_reason: "stop", "length" (`max_tokens` reached), or another word of the server's.
        tokens: log-probabilities of all tokens; empty if not asked for.
        prompt_tokens, completion_tokens: None if the reply does not say.
        model: as the endpoint's settings name it.
    """

    text: str
    finish_reason: str
    tokens: tuple[TokenLogprob, ...]
    prompt_tokens: int | None
    completion_tokens: int | None
    model: str
    url: str


class _Strict(BaseModel):
    """Takes nothing for another type; what else a reply holds does no harm."""

    model_config = ConfigDict(strict=True)


class TokenCounts(_Strict):
    """A reply's `usage`."""

    prompt_tokens: _Count
    completion_tokens: _Count


class _Alternative(_Strict):
    token: str
    logprob: FiniteFloat


class _Token(_Alternative):
    top_logprobs: list[_Alternative] | None = None


class _Logprobs(_Strict):
    content: list[_Token] = Field(min_length=1)


class _Content(_Strict):
    content: str | None = None


class _Choice(_Strict):
    message: _Content
    finish_reason: str = Field(min_length=1)
    logprobs: Any = None  # read only if asked for


class _Reply(_Strict):
    choices: list[_Choice] = Field(min_length=1)


def counts_in(reply: Any) -> TokenCounts | None:
    """The tokens that a reply says it used; None if it does not say.

    Raises:
        ValueError: it says so in another form.
    """
    usage = reply.get("usage") if isinstance(reply, dict) else None
    return None if usage is None else _checked(TokenCounts, usage, "usage")


def completion_in(reply: Any, endpoint: LlmEndpoint, counts: TokenCounts | None, with_tokens: bool) -> Completion:
    """The first choice of `endpoint`'s reply.

    Raises:
        ValueError: there is none, it is not of the protocol's form, or log-probabilities that were asked for are
            missing or not finite.
    """
    choice = _checked(_Reply, reply, "reply").choices[0]
    text = choice.message.content or ""
    return Completion(
        text=text,
        finish_reason=choice.finish_reason,
        tokens=_tokens(choice.logprobs) if with_tokens and text else (),
        prompt_tokens=counts.prompt_tokens if counts else None,
        completion_tokens=counts.completion_tokens if counts else None,
        model=endpoint.model,
        url=endpoint.url,
    )


def _tokens(logprobs: Any) -> tuple[TokenLogprob, ...]:
    if logprobs is None:
        raise ValueError("log-probabilities were asked for, and the reply has none")
    tokens = _checked(_Logprobs, logprobs, "logprobs").content
    return tuple(TokenLogprob(token.token, token.logprob, _by_text(token.top_logprobs or ())) for token in tokens)


def _by_text(alternatives: Iterable[_Alternative]) -> dict[str, float]:
    """Of two with the same text the likelier, which is the later one here, stays."""
    return {one.token: one.logprob for one in sorted(alternatives, key=lambda one: one.logprob)}


def _checked(model: type[M], value: Any, name: str) -> M:
    """`value` as `model`; the error names the first fault's place, not what stands there, which may be of any size."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join([name, *(str(part) for part in fault["loc"])])
        raise ValueError(f"{place}: {fault['msg']}") from None
