"""The reward model's client: token ids in, raw logits out, over SGLang's `/v1/embeddings`.

That endpoint works on a server itself and through sglang-router, and returns the logit untouched; `/v1/classify`
soft-maxes a single label to 1.0. Not yet: merging concurrent calls into batches, a cache, and the probe of a server
at start.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from coderm_slime.http import HttpClient

_ENDPOINT = "/v1/embeddings"
_MODEL = "coderm"  # the API demands a name; servers with one model take any


class RewardModel:
    """Scores token-id sequences with the model behind `urls`."""

    def __init__(self, http: HttpClient, urls: Sequence[str]) -> None:
        if not urls:
            raise ValueError("no reward model server is named: set coderm.rm.urls (or CODERM_RM__URLS)")
        self._http = http
        self._urls = [url.rstrip("/") + _ENDPOINT for url in urls]

    async def score(self, batch: Sequence[Sequence[int]], deadline_s: float) -> list[float]:
        """The raw logit of every sequence, in order, within `deadline_s` seconds.

        Raises:
            ValueError: a sequence is empty; sent, it would kill an SGLang server.
            HttpError: the server gave no usable reply; kind `bad_reply` also for a wrong count or order, or a score
                that is not a finite number.
        """
        if not batch:
            return []
        if not all(batch):
            raise ValueError("an empty token sequence cannot be scored")
        body = {"model": _MODEL, "input": [list(ids) for ids in batch]}
        return await self._http.post_json(self._urls, body, partial(_logits, count=len(batch)), deadline_s)


def _logits(reply: Any, count: int) -> list[float]:
    rows = reply["data"]
    if [row["index"] for row in rows] != list(range(count)):
        raise ValueError(f"{count} scores in order were expected, indices {[row['index'] for row in rows]} came")
    logits = []
    for row in rows:
        (logit,) = row["embedding"]  # one number: more would be an embedding model, not a reward model
        if isinstance(logit, bool) or not isinstance(logit, int | float) or not math.isfinite(logit):
            raise ValueError(f"score {row['index']} is {logit!r}, not a finite number")
        logits.append(float(logit))
    return logits
