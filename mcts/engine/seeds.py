"""The seed of a try: from what the try is for, never from when it is made or what else is under way."""

import hashlib

_SEED_BITS = 31  # endpoints that keep a seed in 32 bits with a sign take it


def derived_seed(run_seed: int, problem_key: str, step: str, rollout: int, attempt: int) -> int:
    """A number in [0, 2**31) that depends on the arguments alone."""
    named = f"{run_seed}/{problem_key}/{step}/{rollout}/{attempt}".encode()
    return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big") >> (64 - _SEED_BITS)
