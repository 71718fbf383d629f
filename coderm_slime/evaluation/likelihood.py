"""The likelihood floor: how probable a language model finds the code, by a served `/generate`. No answer is generated.

A language model that has seen much code finds an odd edit improbable without knowing what the code should do, so what
an untrained backbone reaches this way is what a reward model has to beat.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from coderm_slime.chat import load_tokenizer
from coderm_slime.evaluation.pairs import PairScores, code_of
from coderm_slime.http import HttpClient, Server
from coderm_slime.records import PairExample
from coderm_slime.text import encodable

# A CPU takes seconds for a long program, and a queue of them waits.
_ATTEMPT_S, _DEADLINE_S = 300.0, 900.0
_IN_FLIGHT = 8


async def pair_likelihoods(
    url: str, model_path: Path, pairs: Sequence[PairExample], seen: Callable[[int], None], max_tokens: int = 2048
) -> PairScores:
    """The mean natural log-probability of each side's code tokens after its problem's statement.

    Args:
        url: a server of the language model in the folder `model_path`, whose tokenizer is used.
        seen: called after each text with the number of texts.
        max_tokens: a longer text gets None.

    Raises:
        HttpError: the server did not answer.
    """
    tokenizer = await asyncio.to_thread(load_tokenizer, str(model_path))
    texts = list(
        dict.fromkeys((pair.problem, code_of(side)) for pair in pairs for side in (pair.chosen, pair.rejected))
    )
    async with HttpClient(attempts=3, attempt_s=_ATTEMPT_S) as http:
        server, slots = Server(url, _IN_FLIGHT), asyncio.Semaphore(_IN_FLIGHT)

        async def ask(problem: str, code: str) -> float | None:
            async with slots:
                before, ids = _encoded(tokenizer, problem, code)
                if before == len(ids) or len(ids) > max_tokens:
                    mean = None
                else:
                    mean = await http.call([server], lambda to: _mean_logprob(http, to, ids, before), _DEADLINE_S)
            seen(len(texts))
            return mean

        means = dict(zip(texts, await asyncio.gather(*(ask(*text) for text in texts)), strict=True))
    return PairScores(
        [means[pair.problem, code_of(pair.chosen)] for pair in pairs],
        [means[pair.problem, code_of(pair.rejected)] for pair in pairs],
    )


def _encoded(tokenizer: Any, problem: str, code: str) -> tuple[int, list[int]]:
    """The number of the statement's tokens, and all ids; each part is encoded by itself, so neither moves the cut."""
    statement = tokenizer(encodable(problem).strip() + "\n\n", add_special_tokens=False)["input_ids"]
    ids = tokenizer(encodable(code).strip() + "\n", add_special_tokens=False)["input_ids"]
    return len(statement), [*statement, *ids]


async def _mean_logprob(http: HttpClient, server: Server, ids: list[int], before: int) -> float:
    body = {
        "input_ids": ids,
        "sampling_params": {"max_new_tokens": 0, "temperature": 0},
        "return_logprob": True,
        "logprob_start_len": before,
    }

    def parse(reply: Any) -> float:
        logprobs = [float(logprob) for logprob, *_ in reply["meta_info"]["input_token_logprobs"]]
        if len(logprobs) != len(ids) - before:
            raise ValueError(f"{len(ids) - before} log-probabilities were expected, {len(logprobs)} came")
        return sum(logprobs) / len(logprobs)

    return await http.request(server, "POST", "/generate", body, parse)
