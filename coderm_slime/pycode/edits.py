"""Edits of a program's text at the places where its syntax nodes stand; what is not edited keeps its layout."""

import ast
import io
from collections.abc import Iterable
from dataclasses import dataclass

from coderm_slime.pycode.source import tree_of


@dataclass(frozen=True)
class Edit:
    """Put `text` in the place of the characters from `start` to `end`."""

    start: int
    end: int
    text: str


class Places:
    """Where the nodes of `code`'s syntax tree stand, in characters; `ast` itself counts UTF-8 bytes in a line."""

    def __init__(self, code: str) -> None:
        self._lines = io.StringIO(code, newline="").readlines()
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt | ast.arg) -> tuple[int, int]:
        """The offsets of the first character of `node` and of the one after its last; decorators belong to it."""
        first = min([node, *getattr(node, "decorator_list", [])], key=lambda part: part.lineno)
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        at_sign = first is not node  # a decorator's own position is behind its `@`
        return self._offset(first.lineno, first.col_offset) - at_sign, self._offset(end_line, end_column)

    def _offset(self, line: int, column: int) -> int:
        text = self._lines[line - 1]
        before = column if text.isascii() else len(text.encode()[:column].decode())
        return self._starts[line - 1] + before


def edited(code: str, edits: Iterable[Edit]) -> str:
    """`code` after all of `edits`, whose offsets count in `code` itself and do not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        code = code[: edit.start] + edit.text + code[edit.end :]
    return code


def without_docstrings(code: str) -> str:
    """`code` without the docstrings of its functions and classes and its own; `pass` where nothing else is left.

    What stands between a docstring and the next statement, such as a comment, goes with it.

    Raises:
        SourceError: `code` does not parse.
    """
    places, edits = Places(code), []
    for node in ast.walk(tree_of(code)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            start, end = places.span(node.body[0])
            if len(node.body) > 1:
                edits.append(Edit(start, places.span(node.body[1])[0], ""))
            else:
                edits.append(Edit(start, end, "pass"))
    return edited(code, edits)
