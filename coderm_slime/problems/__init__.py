"""Data sets of problems as typed records, out of files that are on this machine already, with their own tests.

Knows nothing of what the problems are for. Runs no program and unpickles nothing; asks the Hugging Face hub only
where a source is named `hub:…`.
"""

from coderm_slime.problems.data_sets import DataSet
from coderm_slime.problems.decontaminate import (
    Decontaminator,
    Dropped,
    Match,
    evaluation_problems,
    uncontaminated,
)
from coderm_slime.problems.faults import Fault, ProblemError
from coderm_slime.problems.human_eval import human_eval
from coderm_slime.problems.overlap import near_copies, ngrams, overlap
from coderm_slime.problems.read import LeftOut, ProblemFile, read_problems
from coderm_slime.problems.rows import suite_of_row
from coderm_slime.problems.starter import StarterProblem, starter_pairs, starter_problems
from coderm_slime.problems.suites import suite_of_code

__all__ = [
    "DataSet",
    "Decontaminator",
    "Dropped",
    "Fault",
    "LeftOut",
    "Match",
    "ProblemError",
    "ProblemFile",
    "StarterProblem",
    "evaluation_problems",
    "human_eval",
    "near_copies",
    "ngrams",
    "overlap",
    "read_problems",
    "starter_pairs",
    "starter_problems",
    "suite_of_code",
    "suite_of_row",
    "uncontaminated",
]
