"""The checked way from a caller's sequences to arrays: what is no number, missing or uneven is an error here."""

from collections.abc import Hashable, Sequence, Sized

import numpy as np
from numpy.typing import NDArray

from coderm_slime.errors import CodermError

Array = NDArray[np.float64]
Numbers = Sequence[float] | Array


class MetricError(CodermError):
    """Scores or groups from which no honest number can be computed."""


def numbers(name: str, values: Numbers) -> Array:
    """`values` as a float array of shape [n], n >= 1; infinities are kept, since they still have an order.

    Raises:
        MetricError: there is no value, or one is NaN or None.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise MetricError(f"{name} has shape {array.shape}; a list of at least one number is expected")
    if (bad := np.isnan(array)).any():
        raise MetricError(f"{name}[{int(bad.argmax())}] is no number; leave out what has no score, and count it")
    return array


def same_length(**sized: Sized) -> None:
    """Raises MetricError, with all the lengths, unless the named sequences are equally long."""
    lengths = {name: len(values) for name, values in sized.items()}
    if len(set(lengths.values())) > 1:
        raise MetricError(f"lengths differ: {lengths}")


def group_index(groups: Sequence[Hashable]) -> NDArray[np.intp]:
    """For each row, the number of its group; groups are numbered 0, 1, ... as they first appear."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(group, len(seen)) for group in groups], dtype=np.intp)
