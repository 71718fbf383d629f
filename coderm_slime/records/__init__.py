"""The typed rows that cross a seam between two parts, each with a schema version.

Covers their fields, their invariants and their JSONL form. Does not know how a row is made or what it is used for.
"""

from coderm_slime.records.base import Record
from coderm_slime.records.examples import Candidate, PairExample, Problem, ScalarExample, ScoredCandidate, problem_key
from coderm_slime.records.jsonl import (
    RecordError,
    append_jsonl,
    held_for_writing,
    read_jsonl,
    read_objects,
    record_of,
    written_rows,
)
from coderm_slime.records.rollouts import Action, Choice, Evaluation, Rule, Selection
from coderm_slime.records.suite import Case, Suite, SuiteKind
from coderm_slime.records.tree import SearchTree, TreeNode
from coderm_slime.records.verdict import REASONS, Outcome, Reason, Verdict

__all__ = [
    "REASONS",
    "Action",
    "Candidate",
    "Case",
    "Choice",
    "Evaluation",
    "Outcome",
    "PairExample",
    "Problem",
    "Reason",
    "Record",
    "RecordError",
    "Rule",
    "ScalarExample",
    "ScoredCandidate",
    "SearchTree",
    "Selection",
    "Suite",
    "SuiteKind",
    "TreeNode",
    "Verdict",
    "append_jsonl",
    "held_for_writing",
    "problem_key",
    "read_jsonl",
    "read_objects",
    "record_of",
    "written_rows",
]
