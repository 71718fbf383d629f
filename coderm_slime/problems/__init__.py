"""Data sets of problems as typed records, out of files that are on this machine already.

Knows nothing of what the problems are for. Runs no program and downloads nothing.
"""

from coderm_slime.problems.human_eval import human_eval
from coderm_slime.problems.starter import StarterProblem, starter_pairs, starter_problems

__all__ = ["StarterProblem", "human_eval", "starter_pairs", "starter_problems"]
