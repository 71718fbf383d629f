"""The search trees of files and run folders; a row that is no tree is a value, and so loses no neighbour."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from coderm_slime.errors import CodermError
from coderm_slime.records import RecordError, SearchTree, read_jsonl
from mcts.export.examples import fingerprint

TREES = "trees.jsonl"  # in a run's folder


@dataclass(frozen=True)
class BadRow:
    """A row that gives no tree: torn, no JSON, or breaking an invariant."""

    path: Path
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}"


@dataclass(frozen=True)
class Copy:
    """A tree that was there before, letter for letter."""

    problem_id: str


def tree_files(sources: Sequence[Path]) -> list[Path]:
    """The files behind `sources`, each a file of trees or a run's folder.

    Raises:
        CodermError: one is missing.
    """
    files = [source / TREES if source.is_dir() else source for source in sources]
    for source, file in zip(sources, files, strict=True):
        if not file.is_file():
            raise CodermError(f"no trees at {source}: give a file of trees, or a run's folder with {TREES} in it")
    return files


def read_trees(files: Sequence[Path]) -> Iterator[SearchTree | Copy | BadRow]:
    """Every row of `files` in order."""
    seen = set()
    for path in files:
        for row in read_jsonl(path, SearchTree):
            if isinstance(row, RecordError):
                yield BadRow(row.path, row.line, row.problem)
            elif (name := fingerprint(row)) in seen:
                yield Copy(row.problem.id)
            else:
                seen.add(name)
                yield row
