"""SGLang's two ways to ask a reward model for raw logits: bodies out, checked numbers in.

`/v1/embeddings` works on a server itself and through sglang-router; `/classify` on a server only. `/v1/classify` is
not here: it soft-maxes a single label to 1.0.
"""

import math
from collections.abc import Sequence
from typing import Any

_MODEL = "coderm"  # the API demands a name; servers with one model take any


def body_for(endpoint: str, batch: Sequence[Sequence[int]]) -> dict[str, Any]:
    """The request that asks `endpoint` for the logits of `batch`."""
    if endpoint == "/classify":
        return {"input_ids": batch}
    return {"model": _MODEL, "input": batch}


def logits_in(endpoint: str, reply: Any, count: int) -> list[float | None]:
    """The `count` logits of a reply, in order; None for one that is not a finite number.

    Raises:
        ValueError, TypeError, LookupError: another number of rows, another order, or not one number a row.
    """
    rows = reply if endpoint == "/classify" else reply["data"]
    if endpoint != "/classify" and [row["index"] for row in rows] != list(range(count)):
        raise ValueError(f"{count} scores in order were expected, indices {[row['index'] for row in rows]} came")
    if len(rows) != count:
        raise ValueError(f"{count} scores were expected, {len(rows)} came")
    return [_logit(row) for row in rows]


def _logit(row: Any) -> float | None:
    (logit,) = row["embedding"]  # one number: more would be an embedding model, not a reward model
    if isinstance(logit, bool) or not isinstance(logit, int | float):
        raise TypeError(f"a score is {logit!r}, not a number")
    logit = float(logit)
    return logit if math.isfinite(logit) else None
