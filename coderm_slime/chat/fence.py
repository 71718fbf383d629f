"""A bare program as a response: the same single Python fence in training, evaluation and scoring."""

import re

_FENCE_LINE = re.compile(r"^[ \t]*(`{3,})", re.MULTILINE)


def as_response(program: str) -> str:
    """Wrap a bare program in one Python fence. Text that already holds a closed fence is a response and comes back as
    it is.

    The fence is one backtick longer than any line of backticks in the program (a docstring may hold some), so that it
    stays one block.
    """
    fences = _FENCE_LINE.findall(program)
    if len(fences) >= 2 and _parses_not(program):
        return program
    ticks = "`" * max([3, *(len(fence) + 1 for fence in fences)])
    body = program.replace("\r\n", "\n").strip("\n").rstrip()
    return f"{ticks}python\n{body}\n{ticks}"


def _parses_not(text: str) -> bool:
    """Whether `text` is no Python program: a response is prose around a fence, a program may quote a fence in a
    string.
    """
    try:
        compile(text, "<answer>", "exec", flags=0x400, dont_inherit=True)  # ast.PyCF_ONLY_AST: parses, runs nothing
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return False
