"""The language model behind the stand-in: batched generation and log-probabilities. Needs torch.

A batch runs until its last row has ended; rows that end earlier leave it at once, new ones join the next batch. Not
here: joining a batch under way, sharing prefixes, speculation. SGLang does all of that; this is for a CPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from coderm_slime.scoring.server.checkpoint import load_causal_model, load_text_tokenizer
from coderm_slime.scoring.server.sampling import Sampling, TokenScore, choose, log_probabilities, scored

# A character takes at most four byte tokens, so a stop text of n characters lies within the last 4 n tokens.
_TOKENS_PER_CHARACTER = 4


@dataclass(eq=False)
class Generation:
    """One request.

    Attributes:
        prompt_logprobs_from: first prompt token whose log-probability is wanted, None for none.
        top: how many of the likeliest tokens are wanted at every place.
    """

    ids: list[int]
    sampling: Sampling
    prompt_logprobs_from: int | None = None
    top: int = 0
    aborted: bool = False


@dataclass(eq=False)
class Generated:
    """What a request got, maybe not whole yet. `matched` is the stop text or token that ended it."""

    tokens: list[TokenScore] = field(default_factory=list)
    prompt: list[TokenScore] = field(default_factory=list)
    text: str = ""
    finish: Literal["stop", "length", "abort"] = "length"
    matched: str | int | None = None


class LanguageEngine:
    """Generates with a `*ForCausalLM` in process. Not thread-safe: one caller at a time.

    Raises:
        EngineError: no such model in the folder `model_path`.
    """

    def __init__(self, model_path: Path, dtype: str = "float32") -> None:
        self._model = load_causal_model(model_path, dtype)
        self.tokenizer: Any = load_text_tokenizer(model_path)
        self.max_tokens: int = self._model.config.max_position_embeddings
        self.vocab_size: int = self._model.config.vocab_size
        self.architectures: tuple[str, ...] = tuple(self._model.config.architectures or ())
        ends = self._model.generation_config.eos_token_id
        self._ends = {self.tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}

    def generate(self, requests: Sequence[Generation]) -> list[Generated]:
        """The answers, in order."""
        rows = [_Row(request) for request in requests]
        with torch.inference_mode():
            for row in rows:
                if row.request.prompt_logprobs_from is not None and not row.request.aborted:
                    row.answer.prompt = self._prompt_scores(row.request, row.request.prompt_logprobs_from)
            live = [row for row in rows if row.request.sampling.max_new_tokens and not row.request.aborted]
            if live:
                self._decode(live)
        return [self._answer(row) for row in rows]

    def _prompt_scores(self, request: Generation, start: int) -> list[TokenScore]:
        ids = torch.tensor([request.ids])
        logprobs = torch.log_softmax(self._model(ids, use_cache=False).logits[0].float(), dim=-1)
        scores = [
            scored(logprobs[place - 1], request.ids[place], request.top)
            for place in range(max(start, 1), len(request.ids))
        ]
        return [TokenScore(request.ids[0], None), *scores] if start == 0 else scores

    def _decode(self, rows: list["_Row"]) -> None:
        width = max(len(row.request.ids) for row in rows)
        padding = [width - len(row.request.ids) for row in rows]
        ids = torch.tensor([[0] * pad + row.request.ids for pad, row in zip(padding, rows, strict=True)])
        mask = (torch.arange(width)[None, :] >= torch.tensor(padding)[:, None]).long()
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        cache = None
        while True:
            step = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = step.past_key_values
            for row, logits in zip(rows, step.logits[:, -1], strict=True):
                self._extend(row, logits)
            staying = [index for index, row in enumerate(rows) if not row.ended]
            if not staying:
                return
            if len(staying) < len(rows):
                rows = [rows[index] for index in staying]
                cache.batch_select_indices(torch.tensor(staying))
                mask, positions = mask[staying], positions[staying]
            ids = torch.tensor([[row.answer.tokens[-1].id] for row in rows])
            mask = torch.cat([mask, torch.ones(len(rows), 1, dtype=mask.dtype)], dim=1)
            positions = positions[:, -1:] + 1

    def _extend(self, row: "_Row", logits: torch.Tensor) -> None:
        """Choose the row's next token and see whether it ends the answer."""
        sampling, answer = row.request.sampling, row.answer
        if row.request.aborted:
            answer.finish, row.ended = "abort", True
            return
        logprobs = log_probabilities(logits, sampling)
        token = choose(logprobs, sampling, row.chance)
        answer.tokens.append(scored(logprobs, token, row.request.top))
        ends = sampling.stop_token_ids if sampling.ignore_eos else sampling.stop_token_ids | self._ends
        matched = token if token in ends else self._stop_text(answer, sampling.stop)
        if matched is not None:
            answer.finish, answer.matched = "stop", matched
        row.ended = matched is not None or len(answer.tokens) == sampling.max_new_tokens

    def _stop_text(self, answer: Generated, stops: tuple[str, ...]) -> str | None:
        if not stops:
            return None
        reach = _TOKENS_PER_CHARACTER * max(map(len, stops))
        tail = self.tokenizer.decode([token.id for token in answer.tokens[-reach:]])
        return next((stop for stop in stops if stop in tail), None)

    def _answer(self, row: "_Row") -> Generated:
        sampling, answer = row.request.sampling, row.answer
        if row.request.aborted and not row.ended:
            answer.finish = "abort"
        ids = [token.id for token in answer.tokens]
        if isinstance(answer.matched, int) and not sampling.no_stop_trim:
            ids = ids[:-1]
        answer.text = self.tokenizer.decode(ids, skip_special_tokens=sampling.skip_special_tokens)
        if isinstance(answer.matched, str):
            before, stop, _ = answer.text.partition(answer.matched)
            answer.text = before + stop if sampling.no_stop_trim else before
        return answer


class _Row:
    """A request being answered."""

    def __init__(self, request: Generation) -> None:
        self.request, self.answer, self.ended = request, Generated(), False
        self.chance = torch.Generator()
        if request.sampling.seed is None:
            self.chance.seed()
        else:
            self.chance.manual_seed(request.sampling.seed)
