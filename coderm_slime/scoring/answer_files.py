"""The answers that `coderm score` is given: rows of one JSONL file, or one file each, all on one problem.

A `.py` file is a bare program, a `.md` or `.txt` file a response as generated. It does not score them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from coderm_slime.errors import CodermError
from coderm_slime.records import Candidate, read_jsonl
from coderm_slime.text import encodable

_FIELDS = {".py": "program", ".md": "response", ".txt": "response"}
_KINDS = ", ".join(_FIELDS)


def answer_files(given: Sequence[Path], problem: Path | None) -> list[Path]:
    """The files to read: one JSONL file, or answers, those in the given folders (not deeper) included.

    Args:
        problem: the file with the statement that the answers are to; it is no answer, wherever it lies.

    Raises:
        CodermError: what is given does not go together, or holds no answer.
    """
    if len(given) == 1 and not _has_answers(given[0]):
        if problem is not None:
            raise CodermError(f"--problem goes with {_KINDS} files or folders; rows of {given[0]} bring their own")
        return list(given)
    for path in given:
        if not _has_answers(path):
            raise CodermError(f"{path} is no folder and no {_KINDS} file; a JSONL file is scored by itself")
    if problem is None:
        raise CodermError(f"{given[0]} does not say what is asked: name the file that does by --problem FILE")
    inside = [sorted(path.iterdir()) if path.is_dir() else [path] for path in given]
    found = [file for files in inside for file in files if _is_answer(file) and not file.samefile(problem)]
    if not found:
        raise CodermError(f"no {_KINDS} file beside the problem in {', '.join(map(str, given))}")
    return found


def read_answers(files: Sequence[Path], problem: Path | None) -> Iterator[Candidate | CodermError]:
    """Yield what `answer_files` found as candidates, files under their names; or what is wrong with a row or file.

    Raises:
        CodermError: the problem cannot be read.
        FileNotFoundError: there is no such file.
    """
    if problem is None:
        yield from read_jsonl(files[0], Candidate)
        return
    statement = _text(problem)
    if not statement.strip():
        raise CodermError(f"{problem} is empty; --problem names the file with the problem's statement")
    for file in files:
        try:
            field = _FIELDS[file.suffix.lower()]
            yield Candidate.model_validate({"id": encodable(file.name), "problem": statement, field: _text(file)})
        except CodermError as error:
            yield error


def _has_answers(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in _FIELDS


def _is_answer(path: Path) -> bool:
    return path.suffix.lower() in _FIELDS and not path.is_dir()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # an editor's byte order mark is no part of a program
    except UnicodeDecodeError as error:
        raise CodermError(f"{file} is no UTF-8 text: {error}") from error
