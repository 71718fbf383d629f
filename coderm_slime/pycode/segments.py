"""A program cut into the steps that a tree search takes, with exact character offsets.

Rule (paper section 3, as the method states it): a segment is a run of logical lines that ends after a print which
shows a variable; what would begin with a print joins the segment before it; then each segment is cut again where the
indentation falls. Comments and blank lines belong to the logical line that they stand above.
"""

import ast
import functools
import itertools
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from coderm_slime.pycode.source import SourceError, tokens_of, tree_of, with_line_feeds

_PRINTS_REMEMBERED = 4096  # continuations of one prefix begin with the same prints; to parse one takes 0.1 ms
_NO_LINE_STARTS_WITH = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


@dataclass(frozen=True)
class Segment:
    """The text `code[start:end]`, one step."""

    start: int
    end: int


@dataclass(frozen=True)
class _Line:
    """A logical line: its range with what stands above it, its indentation, and what kind of print it is."""

    start: int
    end: int
    indent: int
    is_print: bool
    shows_variable: bool


def segments(code: str) -> list[Segment]:
    """Cut `code` into segments; they follow one another without a gap, and joined they are `code`.

    Raises:
        SourceError: `code` cannot be cut into tokens.
    """
    ends = segment_ends(code, tokens_of(code))
    ends = [*ends[:-1], len(code)] if ends else []
    return [Segment(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def segment_ends(code: str, tokens: Iterable[tokenize.TokenInfo], kept: Sequence[int] = ()) -> list[int]:
    """Where the last logical line of each segment of `code` ends, its line break included.

    Args:
        kept: ends of the first segments, which stay as they are; the rule holds for what follows them, so that a
            print may begin there.

    Raises:
        SourceError: see `tokens_of`; or no logical line of `code` ends where one of `kept` does.
    """
    lines = list(_logical_lines(code, tokens))
    if torn := set(kept) - {line.end for line in lines}:
        raise SourceError(f"no statement ends at {min(torn)}, where the code that was given ends")
    return [*kept, *_ends([line for line in lines if not kept or line.start >= kept[-1]])]


def line_ends(code: str, tokens: Iterable[tokenize.TokenInfo]) -> list[int]:
    """Where each logical line of `code` ends, its line break included. Raises SourceError, see `tokens_of`."""
    return [line.end for line in _logical_lines(code, tokens)]


def _ends(lines: Iterable[_Line]) -> list[int]:
    groups: list[list[_Line]] = []
    begins = True
    for line in lines:
        if groups and (not begins or line.is_print):
            groups[-1].append(line)
        else:
            groups.append([line])
        begins = line.shows_variable
    return [part[-1].end for group in groups for part in _cut_where_indent_falls(group)]


def _cut_where_indent_falls(lines: list[_Line]) -> list[list[_Line]]:
    parts = [[lines[0]]]
    for before, line in itertools.pairwise(lines):
        if line.indent < before.indent and not line.is_print:
            parts.append([line])
        else:
            parts[-1].append(line)
    return parts


def _logical_lines(code: str, tokens: Iterable[tokenize.TokenInfo]) -> Iterator[_Line]:
    offsets = [0]
    for physical in with_line_feeds(code).split("\n"):
        offsets.append(offsets[-1] + len(physical) + 1)
    start, first = 0, None
    for token in tokens:
        if first is None and token.type not in _NO_LINE_STARTS_WITH:
            first = token
        if token.type == tokenize.NEWLINE and first is not None:
            end = min(offsets[token.start[0]], len(code))
            text = code[offsets[first.start[0] - 1] + first.start[1] : end]
            is_print = first.string == "print"
            yield _Line(start, end, first.start[1], is_print, is_print and _shows_variable(text))
            start, first = end, None


@functools.lru_cache(maxsize=_PRINTS_REMEMBERED)
def _shows_variable(line: str) -> bool:
    try:
        nodes = list(ast.walk(tree_of(line.strip())))
    except SourceError:  # a fragment such as `print(x) if y else z` always parses; a torn one does not
        return False
    return any(isinstance(node, ast.Name) and node.id != "print" for node in nodes)
