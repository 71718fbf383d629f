"""The one program of a response, cut into steps whose ends are known in the code and in the response itself.

No place is found by searching text: every offset comes from the tokens, through the lines of the fenced block.
"""

import bisect
import itertools
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

from coderm_slime.pycode.fences import CodeBlock, offset_in_text, python_blocks
from coderm_slime.pycode.segments import line_ends, segment_ends
from coderm_slime.pycode.source import SourceError, tokens_of, with_line_feeds

_NOT_CODE = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


@dataclass(frozen=True)
class Program:
    """The program of `response`, in steps. What stands behind the last statement belongs to none of them.

    Attributes:
        code: the block's inside, see `CodeBlock.code`.
        ends: for each step, where it ends in `code`, its line break included; it begins where the one before ends.
        cuts: for each step, where its last statement ends in `response`: behind a comment on the same line, before
            blanks and the line break.
        bare: for each step, its code without comments, blank lines and blanks at the end of lines: steps that agree
            in it are the same.
    """

    response: str
    code: str
    ends: tuple[int, ...]
    cuts: tuple[int, ...]
    bare: tuple[str, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """The text of each step."""
        return tuple(self.code[start:end] for start, end in itertools.pairwise((0, *self.ends)))


def program_in(response: str, kept: Sequence[int] = ()) -> Program | None:
    """The program of `response`; None unless it holds exactly one Python block, and that block is closed.

    Args:
        kept: ends, in the code, of the first steps, where the code goes on from a prefix whose steps are known.

    Raises:
        SourceError: the code cannot be cut into tokens, has no statement, or does not keep to `kept`.
    """
    block = _only_block(response)
    if block is None:
        return None
    tokens = list(tokens_of(block.code))
    return _program(response, block, tokens, segment_ends(block.code, tokens, kept))


def program_cut_at(response: str, cuts: Sequence[int]) -> Program | None:
    """The program of `response` in the steps that end at `cuts`; None as in `program_in`, or if it goes on after them.

    Raises:
        SourceError: the code cannot be cut into tokens, or no statement ends at one of `cuts`.
    """
    block = _only_block(response)
    if block is None:
        return None
    tokens = list(tokens_of(block.code))
    lines = line_ends(block.code, tokens)
    end_at = dict(zip(_cuts(response, block, lines), lines, strict=True))
    if unknown := set(cuts) - end_at.keys():
        raise SourceError(f"no statement ends at {min(unknown)} in the response")
    if not cuts or end_at[cuts[-1]] != lines[-1]:
        return None
    return _program(response, block, tokens, [end_at[cut] for cut in cuts])


def bare_steps(code: str, ends: Sequence[int]) -> tuple[str, ...]:
    """`Program.bare` of the steps of `code` that end at `ends`.

    Raises:
        SourceError: the code cannot be cut into tokens.
    """
    return _bare_steps(code, list(tokens_of(code)), ends)


def _only_block(response: str) -> CodeBlock | None:
    found = python_blocks(response)
    return found[0] if len(found) == 1 and found[0].closed else None


def _program(response: str, block: CodeBlock, tokens: Sequence[tokenize.TokenInfo], ends: Sequence[int]) -> Program:
    if not ends:
        raise SourceError("no Python: there is no statement in it")
    cuts, bare = _cuts(response, block, ends), _bare_steps(block.code, tokens, ends)
    return Program(response, block.code, tuple(ends), tuple(cuts), bare)


def _cuts(response: str, block: CodeBlock, ends: Sequence[int]) -> list[int]:
    place, starts = offset_in_text(response, block), [0, *ends]
    return [place(start + len(block.code[start:end].rstrip())) for start, end in zip(starts, ends, strict=False)]


def _bare_steps(code: str, tokens: Sequence[tokenize.TokenInfo], ends: Sequence[int]) -> tuple[str, ...]:
    """Comments are told from the whole program's tokens: a step alone need not be something that has tokens."""
    comments = {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}
    held: set[int] = set()
    open_ended: set[int] = set()  # lines whose end lies in a string
    for token in tokens:
        if token.type not in _NOT_CODE:
            held.update(range(token.start[0], token.end[0] + 1))
            open_ended.update(range(token.start[0], token.end[0]))
    steps, offset = [""] * (len(ends) + 1), 0
    for row, line in enumerate(with_line_feeds(code).split("\n"), start=1):
        if row in held:
            kept = line[: comments.get(row)]
            steps[bisect.bisect_right(ends, offset)] += (kept if row in open_ended else kept.rstrip()) + "\n"
        offset += len(line) + 1
    return tuple(steps[:-1])
