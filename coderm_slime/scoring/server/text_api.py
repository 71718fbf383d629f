"""The paths of a causal language model: SGLang's `/generate` and OpenAI's `/v1/chat/completions`, one answer each."""

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Request
from prometheus_client import Counter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, model_validator

from coderm_slime.scoring.server.language_engine import Generated, Generation
from coderm_slime.scoring.server.line import Line
from coderm_slime.scoring.server.refusal import Refusal, Text, check_ids
from coderm_slime.scoring.server.requests import UnderWay
from coderm_slime.scoring.server.sampling import Sampling, TokenScore

# Rows of one batch are held in memory until the last of them ends: about a gigabyte for a 7B model.
STEP_TOKENS = 16_384
_MAX_TOP = 20  # OpenAI's bound
_Probability = Annotated[float, Field(gt=0, le=1)]
_LEAST_TEMPERATURE = 1e-6  # below it, logits divided by the temperature leave a float's range
_Seed = Annotated[int, Field(ge=-(2**63), lt=2**64)]  # what torch takes
_Texts = Text | list[Text] | None


def _computable(temperature: float) -> float:
    if 0 < temperature < _LEAST_TEMPERATURE:
        raise ValueError(f"give 0, which takes the likeliest token, or at least {_LEAST_TEMPERATURE}")
    return temperature


_Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False), AfterValidator(_computable)]


class Generates(Protocol):
    """What these paths need of a model; `language_engine.LanguageEngine` is the real one."""

    max_tokens: int
    vocab_size: int
    tokenizer: Any

    def generate(self, requests: Sequence[Generation]) -> list[Generated]:
        """The answers, in order."""


class SamplingParams(BaseModel):
    """SGLang's `sampling_params`; one that is not served is refused, for ignoring it would change the answer."""

    model_config = ConfigDict(extra="forbid")

    max_new_tokens: int = Field(default=128, ge=0)
    temperature: _Temperature = 1.0
    top_p: _Probability = 1.0
    top_k: int = Field(default=-1, ge=-1)
    stop: _Texts = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    no_stop_trim: bool = False
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True  # of slow tokenizers only
    sampling_seed: _Seed | None = None
    n: Literal[1] = 1

    def checked(self) -> Sampling:
        """As the engine takes it."""
        return Sampling(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k or -1,
            stop=_texts(self.stop),
            stop_token_ids=frozenset(self.stop_token_ids or ()),
            ignore_eos=self.ignore_eos,
            no_stop_trim=self.no_stop_trim,
            skip_special_tokens=self.skip_special_tokens,
            seed=self.sampling_seed,
        )


class GenerateRequest(BaseModel):
    """Body of `/generate`, for one prompt."""

    text: Text | None = None
    input_ids: list[StrictInt] | None = None
    sampling_params: SamplingParams = SamplingParams()
    return_logprob: bool = False
    logprob_start_len: int = Field(default=-1, ge=-1)
    top_logprobs_num: int = Field(default=0, ge=0, le=_MAX_TOP)
    stream: Literal[False] = False
    rid: Text | None = None


class TextPart(BaseModel):
    """A part of a turn, in the form that may also hold images; those are not served."""

    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    """One turn."""

    role: Text
    content: Text | list[TextPart]

    def turn(self) -> dict[str, str]:
        """As chat templates take it; parts are one text."""
        parts = self.content
        return {"role": self.role, "content": parts if isinstance(parts, str) else "".join(p.text for p in parts)}


class ChatRequest(BaseModel):
    """Body of `/v1/chat/completions`; a field that is null counts as absent, for OpenAI's clients send such."""

    model: Text = ""
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: _Temperature = 1.0
    top_p: _Probability = 1.0
    stop: _Texts = None
    seed: _Seed | None = None
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=_MAX_TOP)
    n: Literal[1] = 1
    stream: Literal[False] = False

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, body: Any) -> Any:
        return {key: value for key, value in body.items() if value is not None} if isinstance(body, Mapping) else body


def generation_line(engine: Generates) -> Line[Generation, Generated]:
    """The line before `engine`: the requests of a step are answered as one batch."""
    return Line(engine.generate, STEP_TOKENS)


def tiny_generation(ids: list[int]) -> Generation:
    """The smallest request there is, to see that the model computes."""
    return Generation(ids, Sampling(max_new_tokens=1))


def text_api(
    engine: Generates, model: str, line: Line[Generation, Generated], under_way: UnderWay, tokens: Counter
) -> APIRouter:
    """The router of these paths; `tokens` counts by the label `input` or `output`."""
    api = APIRouter()

    async def answer(generation: Generation, request: Request, rid: str) -> Generated:
        most = generation.sampling.max_new_tokens
        if most >= engine.max_tokens:
            raise Refusal(400, f"{most} new tokens are asked for; at most {engine.max_tokens - 1} are served")
        check_ids(0, generation.ids, engine.max_tokens - most, engine.vocab_size)
        generated = await under_way.result(request, line, generation, len(generation.ids) + most, rid)
        tokens.labels("input").inc(len(generation.ids))
        tokens.labels("output").inc(len(generated.tokens))
        return generated

    @api.api_route("/generate", methods=["POST", "PUT"])
    async def generate(body: GenerateRequest, request: Request) -> dict[str, Any]:
        started = time.perf_counter()
        if (body.text is None) == (body.input_ids is None):
            raise Refusal(400, "either text or input_ids is needed")
        ids = body.input_ids or (await asyncio.to_thread(engine.tokenizer, body.text or ""))["input_ids"]
        start = body.logprob_start_len if body.return_logprob and body.logprob_start_len >= 0 else None
        top = body.top_logprobs_num if body.return_logprob else 0
        rid = body.rid or uuid.uuid4().hex
        generated = await answer(Generation(list(ids), body.sampling_params.checked(), start, top), request, rid)
        meta = {
            "id": rid,
            "finish_reason": _finish(generated),
            "prompt_tokens": len(ids),
            "completion_tokens": len(generated.tokens),
            "cached_tokens": 0,
            "weight_version": "default",
            "e2e_latency": time.perf_counter() - started,
        }
        if body.return_logprob:
            meta |= {
                "input_token_logprobs": _triples(generated.prompt),
                "output_token_logprobs": _triples(generated.tokens),
            }
        if top:
            meta |= {"input_top_logprobs": _tops(generated.prompt), "output_top_logprobs": _tops(generated.tokens)}
        return {"text": generated.text, "output_ids": [token.id for token in generated.tokens], "meta_info": meta}

    @api.post("/v1/chat/completions")
    async def chat(body: ChatRequest, request: Request) -> dict[str, Any]:
        if not engine.tokenizer.chat_template:
            raise Refusal(400, "this model's tokenizer has no chat template")
        if body.top_logprobs and not body.logprobs:
            raise Refusal(400, "top_logprobs needs logprobs: true")
        ids = await asyncio.to_thread(_prompt_ids, engine.tokenizer, body.messages)
        room = max(1, engine.max_tokens - len(ids))
        sampling = Sampling(
            max_new_tokens=body.max_completion_tokens or body.max_tokens or room,
            temperature=body.temperature,
            top_p=body.top_p,
            stop=_texts(body.stop),
            seed=body.seed,
        )
        rid = uuid.uuid4().hex
        generated = await answer(Generation(ids, sampling, top=body.top_logprobs), request, rid)
        said = generated.tokens[:-1] if isinstance(generated.matched, int) else generated.tokens
        logprobs = {"content": [_chat_token(token, engine.tokenizer) for token in said]} if body.logprobs else None
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": generated.text},
            "finish_reason": generated.finish,
            "logprobs": logprobs,
        }
        used, made = len(ids), len(generated.tokens)
        usage = {"prompt_tokens": used, "completion_tokens": made, "total_tokens": used + made}
        head = {"id": rid, "object": "chat.completion", "created": int(time.time()), "model": body.model or model}
        return head | {"choices": [choice], "usage": usage}

    return api


def _prompt_ids(tokenizer: Any, messages: Sequence[ChatMessage]) -> list[int]:
    turns = [message.turn() for message in messages]
    encoded = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)
    return list(encoded["input_ids"])


def _texts(stop: _Texts) -> tuple[str, ...]:
    return tuple(text for text in ([stop] if isinstance(stop, str) else stop or ()) if text)


def _finish(generated: Generated) -> dict[str, Any]:
    if generated.finish == "length":
        return {"type": "length", "length": len(generated.tokens)}
    if generated.finish == "abort":
        return {"type": "abort", "message": "aborted"}
    return {"type": "stop", "matched": generated.matched}


def _triples(tokens: Sequence[TokenScore]) -> list[tuple[float | None, int, None]]:
    return [(token.logprob, token.id, None) for token in tokens]


def _tops(tokens: Sequence[TokenScore]) -> list[list[tuple[float, int, None]] | None]:
    return [[(logprob, id_, None) for logprob, id_ in token.top] or None for token in tokens]


def _chat_token(token: TokenScore, tokenizer: Any) -> dict[str, Any]:
    tops = [_named(id_, logprob, tokenizer) for logprob, id_ in token.top]
    return _named(token.id, token.logprob, tokenizer) | {"top_logprobs": tops}


def _named(id_: int, logprob: float | None, tokenizer: Any) -> dict[str, Any]:
    text = tokenizer.decode([id_])
    return {"token": text, "bytes": list(text.encode()), "logprob": logprob}
