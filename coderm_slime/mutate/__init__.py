"""Broken variants of right programs, the rejected sides of pairs.

Knows nothing of training. `by_construction` runs no program: what it makes is wrong by argument, not by trial.
"""

from coderm_slime.mutate.by_construction import Broken, bare, broken_by_construction
from coderm_slime.mutate.pairs import human_eval_pairs, pairs_by_construction

__all__ = ["Broken", "bare", "broken_by_construction", "human_eval_pairs", "pairs_by_construction"]
