"""The mark that divides what the judge is shown: it depends on all of it, so nothing in it can hold the mark."""

import hashlib
from collections.abc import Sequence

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LENGTH = 10  # 47 bits: a program that also knew the seed could not try enough outputs in its seconds


def nonce_for(seed: int, material: Sequence[str]) -> str:
    """Letters that stand nowhere in `material`, the same for the same (seed, material).

    They are letters alone, so that no part of them can be taken for a grade. A program that wants to print its own
    nonce must find an output whose hash with the rest is in that output.
    """
    for turn in range(1_000):  # the second turn is needed once in 10^14 times
        text = repr((seed, turn, *material)).encode("utf-8", "surrogatepass")
        number = int.from_bytes(hashlib.sha256(text).digest(), "big")
        nonce = "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(_LENGTH))
        if not any(nonce in part.lower() for part in material):
            return nonce
    raise AssertionError("a hash that is always in what it was made of")
