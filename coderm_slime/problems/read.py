"""A public data set as a stream of problems: a file or folder on this machine, or, by the name `hub:…` alone, the hub.

Nothing is unpickled, and no row is held longer than it takes to read the next.
"""

import functools
import importlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from coderm_slime.errors import CodermError
from coderm_slime.problems.data_sets import READERS, DataSet, mbpp_problem
from coderm_slime.problems.faults import Fault, ProblemError
from coderm_slime.problems.fields import Row
from coderm_slime.problems.hub import data_set_rows, is_data_set
from coderm_slime.records import Problem, RecordError, read_objects

# In this order: the fields that tell a data set from those after it.
_TELLING: tuple[tuple[DataSet, frozenset[str]], ...] = (
    ("human_eval", frozenset({"prompt", "canonical_solution", "test", "entry_point"})),
    ("mbpp", frozenset({"code", "test_list"})),
    ("kodcode", frozenset({"question", "solution", "test_code"})),
    ("kodcode", frozenset({"question", "solution", "test"})),
    ("open_code_instruct", frozenset({"input", "output", "unit_tests"})),
    ("live_code_bench", frozenset({"question_content", "public_test_cases"})),
    ("magicoder", frozenset({"lang", "problem", "solution"})),
    ("plain", frozenset({"problem"})),
    ("plain", frozenset({"prompt"})),
)
_PARQUET_ROWS_A_BATCH = 256  # rows of some data sets are megabytes


class LeftOut(RecordError):
    """A row that gave no problem: file, line (row, of a parquet file), and its `fault`, to be counted by."""

    def __init__(self, path: Path, line: int, problem: str, fault: Fault) -> None:
        super().__init__(path, line, problem)
        self.fault = fault


class ProblemFile:
    """The rows of a file, each as a `Problem` or, where it gives none, a `LeftOut`. It can be iterated again.

    Attributes:
        data_set: what the rows are read as.
        problems: good rows so far.
        left_out: rows so far that gave no problem, by fault.
        not_read: parts so far that were left out of good rows, by what they are, such as pickled tests.
    """

    def __init__(
        self,
        path: Path,
        data_set: DataSet,
        challenge: bool = False,
        split: str | None = None,
        config: str | None = None,
    ) -> None:
        self.path = path
        self.data_set = data_set
        self._rows = functools.partial(_rows, path, split, config)
        self._read = functools.partial(mbpp_problem, challenge=True) if challenge else READERS[data_set]
        self._start()

    def __iter__(self) -> Iterator[Problem | LeftOut]:
        self._start()
        for number, row in self._rows():
            found = self._problem(number, row)
            if isinstance(found, LeftOut):
                self.left_out[found.fault] += 1
            else:
                self.problems += 1
                self.not_read.update(found.metadata["not_read"] if _is_texts(found.metadata.get("not_read")) else [])
            yield found

    def _start(self) -> None:
        self.problems = 0
        self.left_out: Counter[Fault] = Counter()
        self.not_read: Counter[str] = Counter()

    def _problem(self, number: int, row: Row | RecordError) -> Problem | LeftOut:
        if isinstance(row, RecordError):
            return LeftOut(self.path, number, row.problem, Fault.NOT_A_ROW)
        try:
            to_json(row)
        except PydanticSerializationError as error:
            return LeftOut(self.path, number, str(error), Fault.NOT_WRITABLE)
        try:
            return self._read(row)
        except ProblemError as error:
            return LeftOut(self.path, number, str(error), error.fault)


def read_problems(
    path: Path,
    data_set: DataSet | None = None,
    *,
    challenge: bool = False,
    split: str | None = None,
    config: str | None = None,
) -> ProblemFile:
    """The problems in `path`: a JSONL file, a parquet file where pyarrow is installed, a data set's folder, or
    `hub:ORG/NAME` for one that is streamed from the Hugging Face hub; the last two where `datasets` is installed.

    Without `data_set` the first row's fields tell it. `challenge` adds MBPP's harder tests to each problem's tests.
    `split` ("train" by default) and `config` choose among the parts of a folder or of a data set of the hub.

    Raises:
        FileNotFoundError: there is no such file.
        CodermError: the data set cannot be told or reached, the file is packed, the package that reads it is missing
            or cannot read it, or a file is asked for a split.
    """
    if path.suffix in (".gz", ".zip", ".zst", ".xz", ".bz2"):
        raise CodermError(f"{path} is packed; unpack it first")
    if (split or config) and not is_data_set(path):
        raise CodermError(f"{path} is a file: a split or a configuration is of a folder or of hub:ORG/NAME")
    data_set = data_set or _data_set_of(path, _rows(path, split, config))
    if challenge and data_set != "mbpp":
        raise CodermError(f"only mbpp has challenge tests, {path} is {data_set}")
    return ProblemFile(path, data_set, challenge, split, config)


def _data_set_of(path: Path, rows: Iterator[tuple[int, Row | RecordError]]) -> DataSet:
    row = next((row for _, row in rows if not isinstance(row, RecordError)), None)
    if row is None:
        raise CodermError(f"{path} holds no row: one JSON object a line is expected")
    for name, fields in _TELLING:
        if fields <= row.keys():
            return name
    found = ", ".join(sorted(row))[:200] or "(none)"
    raise CodermError(f"{path} has the fields {found}, as no known data set; name its data set")


def _rows(path: Path, split: str | None, config: str | None) -> Iterator[tuple[int, Row | RecordError]]:
    if is_data_set(path):
        return data_set_rows(path, split, config)
    return _parquet_rows(path) if path.suffix == ".parquet" else read_objects(path)


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise CodermError(f"{path} is parquet: pip install pyarrow, or convert it to JSONL") from error
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_PARQUET_ROWS_A_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (ValueError, OSError) as error:  # pyarrow's own errors are kinds of these
        raise CodermError(f"{path}, after row {number}: pyarrow cannot read it: {error}") from error


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
