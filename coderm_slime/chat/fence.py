"""A bare program as a response: the same single Python fence in training, evaluation and scoring."""

import re

from coderm_slime.pycode import parses

_BACKTICKS = re.compile(r"^[ \t]*(`{3,})", re.MULTILINE)
# Markdown's own rule: a block may be indented by three blanks at most. A fence inside a docstring stands deeper.
_FENCE = re.compile(r"^\ufeff? {0,3}`{3,}", re.MULTILINE)


def as_response(program: str) -> str:
    """Wrap a bare program in one Python fence; text with a closed fence of its own is a response and stays.

    The fence is longer than any run of backticks that starts a line of the program (a docstring may hold some), so
    that it stays one block. A text is taken for a program if it parses, or has no closed fence at the margin.
    """
    if len(_FENCE.findall(program)) >= 2 and not parses(program):
        return program
    ticks = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(program))])
    body = program.replace("\r\n", "\n").strip("\n").rstrip()
    return f"{ticks}python\n{body}\n{ticks}"
