"""Fields of a foreign row, each read as what it is to be or refused by its name."""

from collections.abc import Iterable, Mapping
from typing import Any

from coderm_slime.problems.faults import Fault, ProblemError
from coderm_slime.pycode import answer_code, parses

Row = Mapping[str, Any]


def text_in(row: Row, *names: str) -> str:
    """The text in the first of `names` that is there; not blank."""
    value = _first(row, names)
    if not isinstance(value, str) or not value.strip():
        raise ProblemError(Fault.BAD_FIELD, f"{_either(names)} is to be text, found {_kind(value)}")
    return value


def id_in(row: Row, *names: str) -> str:
    """The name or number of the row in the first of `names` that is there."""
    value = _first(row, names)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ProblemError(Fault.BAD_FIELD, f"{_either(names)} is to name the row, found {_kind(value)}")
    return str(value)


def list_in(row: Row, name: str) -> list[Any]:
    """The list `name`; one that is not there is empty."""
    value = row.get(name)
    if not isinstance(value, list | None):
        raise ProblemError(Fault.BAD_FIELD, f"`{name}` is to be a list, found {_kind(value)}")
    return value or []


def kept(row: Row, *names: str) -> dict[str, Any]:
    """Those of `names` that are there, as they are."""
    return {name: row[name] for name in names if row.get(name) is not None}


def program_in(text: str) -> str | None:
    """The Python program in `text`, which is one or holds one in a fence; with plain line ends."""
    text = text.replace("\r\n", "\n")
    if text.strip() and parses(text):
        return text
    block = answer_code(text)
    return block.code if block is not None and block.code.strip() and parses(block.code) else None


def _first(row: Row, names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _either(names: Iterable[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return "blank text" if isinstance(value, str) and not value.strip() else type(value).__name__
