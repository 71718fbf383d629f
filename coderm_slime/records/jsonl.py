"""Records to and from JSONL files, one UTF-8 JSON object a line."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import ValidationError

from coderm_slime.errors import CodermError
from coderm_slime.files import held
from coderm_slime.records.base import Record

R = TypeVar("R", bound=Record)


class RecordError(CodermError):
    """A row that cannot be read. The text names file, line and field.

    Attributes:
        problem: what is wrong, without the place.
        torn: whether it is the start of a row without its end, as a killed writer leaves it.
    """

    def __init__(self, path: Path, line: int, problem: str, torn: bool = False) -> None:
        super().__init__(f"{path}:{line}: {problem}")
        self.path = path
        self.line = line
        self.problem = problem
        self.torn = torn


def read_jsonl(path: Path, kind: type[R]) -> Iterator[R | RecordError]:
    """Yield each row of `path` as a record, or as the error that names what is wrong with it; blank lines are skipped.

    A bad row is a value, so that the caller decides whether it ends the work or is counted, and so that the rows
    around it are never lost. A file cut in half ends in one such error.

    Raises:
        FileNotFoundError: there is no such file.
    """
    for number, row in read_objects(path):
        yield row if isinstance(row, RecordError) else record_of(path, number, row, kind)


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any] | RecordError]]:
    """Yield the number of each line of `path` that is not blank, with its JSON object or what is wrong with it.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, _object(path, number, line)


def record_of(path: Path, number: int, row: dict[str, Any], kind: type[R]) -> R | RecordError:
    """The object in line `number` of `path` as a record, or as the error that names what is wrong with it."""
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return RecordError(path, number, f"{kind.__name__}{'.' + where if where else ''}: {first['msg']}")


def written_rows(path: Path, kind: type[R]) -> list[R]:
    """The rows that earlier runs appended; the torn last row of a killed one counts as not written.

    Raises:
        RecordError: the file holds something else, which appending would spoil.
    """
    rows = []
    for row in read_jsonl(path, kind):
        if not isinstance(row, RecordError):
            rows.append(row)
        elif not row.torn:
            raise row
    return rows


@contextmanager
def held_for_writing(path: Path) -> Iterator[None]:
    """Hold `path`, made if absent, for this run: two writers would tear each other's rows.

    Raises:
        CodermError: another run holds it.
    """
    with held(path, CodermError(f"another run is writing {path}; wait for it or name another")):
        yield


def append_jsonl(path: Path, records: Iterable[Record]) -> None:
    """Append rows to `path`, made if absent; the torn last line of a killed writer is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("rb+") as file:
        _end_last_line(file)
        for record in records:
            file.write(record.model_dump_json().encode() + b"\n")


def _object(path: Path, number: int, line: bytes) -> dict[str, Any] | RecordError:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or brackets without end
        torn = line.startswith(b'{"') and not line.endswith(b"\n")
        return RecordError(path, number, f"not a JSON line ({error}); is the file cut off?", torn)
    if not isinstance(row, dict):
        return RecordError(path, number, f"a JSON object is expected, found {type(row).__name__}")
    return row


def _end_last_line(file: BinaryIO) -> None:
    """Leave `file` at its end and on a fresh line: a whole row that only lacks its newline is kept."""
    size = file.seek(0, SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    data = file.read()
    start = data.rfind(b"\n") + 1
    try:
        json.loads(data[start:])
        file.write(b"\n")
    except (ValueError, RecursionError):
        file.truncate(start)
        file.seek(start)
