"""What a program's text says of itself: whether it parses, what it defines, and what is left without its comments."""

import ast
import io
import re
import threading
import tokenize
import warnings
from collections.abc import Iterator

from coderm_slime.errors import CodermError

# `catch_warnings` swaps filters of the whole process: two threads in it at once would leave warnings off for good.
_one_at_a_time = threading.Lock()
_LONE_RETURN = re.compile(r"\r(?!\n)")


class SourceError(CodermError):
    """The text is no Python program that this interpreter's grammar knows."""


def parses(code: str) -> bool:
    """Whether `code` is a Python module in this interpreter's grammar. An empty module is one, too."""
    try:
        tree_of(code)
    except SourceError:
        return False
    return True


def tree_of(code: str) -> ast.Module:
    """The syntax tree of `code`.

    Raises:
        SourceError: it does not parse, or is nested too deeply for the parser.
    """
    try:
        with _one_at_a_time, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a dubious escape in somebody's program is not our news
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SourceError(f"no Python: {error}") from error


def entry_points(code: str) -> list[str]:
    """The names of the functions (`async def` too) and classes that `code` defines at its top level, in order.

    Raises:
        SourceError: see `tree_of`.
    """
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node.name for node in tree_of(code).body if isinstance(node, kinds)]


def without_comments(code: str) -> str:
    """`code` without its comments; a line that held nothing else goes. A `#` inside a string is no comment.

    Carriage returns that end a line by themselves come back as line feeds.

    Raises:
        SourceError: the text cannot be cut into tokens.
    """
    code = with_line_feeds(code)
    lines = code.split("\n")
    emptied = set()
    for token in reversed(list(tokens_of(code))):
        if token.type == tokenize.COMMENT:
            row, column = token.start[0] - 1, token.start[1]
            kept = lines[row][:column].rstrip()
            lines[row] = kept + ("\r" if lines[row].endswith("\r") and kept else "")
            if not kept:
                emptied.add(row)
    return "\n".join(line for row, line in enumerate(lines) if row not in emptied)


def with_line_feeds(code: str) -> str:
    """`code` with a line feed for every lone carriage return, which ends a line for Python too; offsets stay."""
    return _LONE_RETURN.sub("\n", code)


def tokens_of(code: str) -> Iterator[tokenize.TokenInfo]:
    """The tokens of `code`, its lines counted as in `with_line_feeds`, with `tokenize`'s several errors as one.

    Raises:
        SourceError: the text cannot be cut into tokens.
    """
    try:
        yield from tokenize.generate_tokens(io.StringIO(with_line_feeds(code)).readline)
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError) as error:
        raise SourceError(f"no Python: {error}") from error
