"""Fenced code blocks in an answer, found line by line as Markdown does; a fence may be indented by blanks or tabs.

A byte order mark before the first line is passed over. Not here: fences within a quote, whose lines begin with `>`.
"""

import bisect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_PYTHON_TAG = re.compile(r"py(thon)?(3(\.\d+)*)?")
_BYTE_ORDER_MARK = "\ufeff"

# Each part ends where the next cannot go on, so that no line is tried in more than one way: answers are untrusted, and
# a pattern that goes back over "~~~~…`" takes 6 s for 2,000 characters and eight times as long for twice as many.
_OPENS = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,}(?!~))(?P<info>[^`]*)")
_CLOSES = re.compile(r"(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*")
# Markdown lets a closing fence stand three blanks deeper than the opening one. A fence in a docstring stands deeper.
_CLOSING_INDENT_SLACK = 3


@dataclass(frozen=True)
class CodeBlock:
    """One fenced block.

    Attributes:
        tag: the language written after the fence, in lower case; empty if none.
        code: what is inside, with the fence's own indentation and carriage returns taken off.
        start, end: offsets of the inside in the text, before anything was taken off.
        closed: whether the closing fence is there.
    """

    tag: str
    code: str
    start: int
    end: int
    closed: bool


def blocks(text: str) -> list[CodeBlock]:
    """All fenced blocks of `text` in order; one that is never closed reaches to the end."""
    found: list[CodeBlock] = []
    opening: re.Match[str] | None = None
    inside = 0
    for start, line in _lines(text):
        bare = line.rstrip("\r\n") if start else line.rstrip("\r\n").removeprefix(_BYTE_ORDER_MARK)
        if opening is None:
            opening, inside = _OPENS.fullmatch(bare), start + len(line)
        elif _closes(bare, opening):
            found.append(_block(text, opening, inside, start, closed=True))
            opening = None
    if opening is not None:
        found.append(_block(text, opening, inside, len(text), closed=False))
    return found


def python_blocks(text: str) -> list[CodeBlock]:
    """The blocks tagged as Python in order; where there is none, those without a tag."""
    found = blocks(text)
    python = [block for block in found if _PYTHON_TAG.fullmatch(block.tag)]
    return python or [block for block in found if not block.tag]


def answer_code(text: str) -> CodeBlock | None:
    """The block that is the answer's program: the last one tagged as Python, else the last one without a tag."""
    return next(reversed(python_blocks(text)), None)


def offset_in_text(text: str, block: CodeBlock) -> Callable[[int], int]:
    """Where a character of `block.code` stands in `text`, as a function of its offset in the code.

    The offset of a line's end, or of the code's, is that of the line break (or the end) in `text`, carriage return
    included.
    """
    ends, code_end, text_end = [], -1, block.start - 1
    for line, raw in zip(block.code.split("\n"), text[block.start : block.end].split("\n"), strict=True):
        code_end, text_end = code_end + len(line) + 1, text_end + len(raw) + 1
        returned = raw.endswith("\r") and text_end < block.end
        ends.append((code_end, text_end - returned))  # a line of code is the end of its raw line

    def place(offset: int) -> int:
        line_end, raw_end = ends[bisect.bisect_left(ends, (offset,))]
        return raw_end - (line_end - offset)

    return place


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield start, text[start:end]
        start = end


def _closes(line: str, opening: re.Match[str]) -> bool:
    closing = _CLOSES.fullmatch(line)
    return (
        closing is not None
        and closing["fence"].startswith(opening["fence"])
        and _width(closing["indent"]) <= _width(opening["indent"]) + _CLOSING_INDENT_SLACK
    )


def _block(text: str, opening: re.Match[str], start: int, end: int, *, closed: bool) -> CodeBlock:
    lines = text[start:end].replace("\r\n", "\n").split("\n")
    indent = opening["indent"]
    if indent and all(line.startswith(indent) or not line.strip() for line in lines):
        lines = [line.removeprefix(indent) for line in lines]
    elif indent:
        lines = textwrap.dedent("\n".join(lines)).split("\n")
    tag = re.split(r"[\s{]", opening["info"].lstrip(" \t"), maxsplit=1)[0]
    return CodeBlock(tag.lower(), "\n".join(lines), start, end, closed)


def _width(indent: str) -> int:
    return len(indent.expandtabs(4))
