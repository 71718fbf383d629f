"""The rows of the training files: scalar ones and pairs, told apart by their fields, checked one by one.

They are read by `records.read_objects`, not by `datasets`' own JSON reader: that one takes a column's type from the
first rows, ends at the first torn line, and cannot say which line of which file is bad.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coderm_slime.errors import CodermError
from coderm_slime.records import PairExample, RecordError, ScalarExample, read_objects, record_of
from rm_train.config import Source

Row = ScalarExample | PairExample
_SHOWN = 3  # bad rows whose text is kept


class DataError(CodermError):
    """Training data cannot be used as it is. The text names the file and says why."""


@dataclass
class Skipped:
    """What was left out, counted by reason.

    Attributes:
        rows: rows looked at; those that `where` leaves out are not among them.
        reasons: rows that cannot be used, by reason.
        examples: the first of them, each with file and line.
        shortened: rows used though something had to go to make them fit (`chat.Renderer.fit`).
    """

    rows: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    shortened: int = 0

    def add(self, reason: str, example: str) -> None:
        """Count a row that cannot be used."""
        self.reasons[reason] += 1
        if len(self.examples) < _SHOWN:
            self.examples.append(example)

    def __str__(self) -> str:
        parts = [f"{count} {reason}" for reason, count in self.reasons.most_common()]
        parts += [f"{self.shortened} shortened"] if self.shortened else []
        return ", ".join(parts) or "none"


def read_rows(sources: Sequence[Source], skipped: Skipped) -> Iterator[tuple[str, Row]]:
    """Each good row with its place ("file:line"); bad ones are counted in `skipped`.

    Raises:
        DataError: a file is missing, cut off in its last row, or has no row that `where` lets through.
    """
    for source in sources:
        kept = 0
        try:
            for number, found in read_objects(source.path):
                if not isinstance(found, RecordError) and not _wanted(found, source.where):
                    continue
                kept += 1
                skipped.rows += 1
                row = found if isinstance(found, RecordError) else _row(source.path, number, found)
                if not isinstance(row, RecordError):
                    yield f"{source.path}:{number}", row
                elif row.torn:
                    raise DataError(f"{row}; write the file anew, or take the torn row off if the rest is all there")
                else:
                    skipped.add(_reason(row), str(row))
        except FileNotFoundError as error:
            raise DataError(f"{source.path} is not there; name it in `data`, or where it lies by --data") from error
        if not kept:
            condition = f" with {source.where}" if source.where else ""
            raise DataError(f"{source.path} has no row{condition}")


def _wanted(row: dict[str, Any], where: dict[str, tuple[str | int | bool, ...]]) -> bool:
    inner = row.get("metadata")
    fields = {**inner, **row} if isinstance(inner, dict) else row
    return all(fields.get(key) in values for key, values in where.items())


def _row(path: Path, number: int, row: dict[str, Any]) -> Row | RecordError:
    if "chosen" in row or "rejected" in row:
        return record_of(path, number, row, PairExample)
    return record_of(path, number, row, ScalarExample)


def _reason(error: RecordError) -> str:
    """The error without the values that differ from row to row, so that like ones are counted together."""
    if error.problem.startswith("not a JSON line"):
        return "no JSON"
    kind, _, message = error.problem.partition(": ")
    message = message.removeprefix("Value error, ")
    if message.startswith("q="):
        message = "q exceeds n"
    elif message.startswith("chosen_label="):
        message = "chosen_label is not above rejected_label"
    return f"{kind}: {message}"
