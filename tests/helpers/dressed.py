"""Real programs in the dress that makes prefixes go wrong; what each line is, is known because it was put there."""

import ast
import random
from collections.abc import Callable
from dataclasses import dataclass

from coderm_slime.pycode import parses
from coderm_slime.pycode.source import tree_of


@dataclass(frozen=True)
class Dressed:
    """A response around a program.

    Attributes:
        code: the program's lines, joined by line feeds, as the fence holds them before `line_of` writes each.
        head: what stands before the first line.
    """

    code: str
    head: str
    line_of: Callable[[str], str]
    line_break: str
    tail: str

    @property
    def response(self) -> str:
        return self.head + self.up_to(self.code.count("\n") + 1) + self.tail

    def up_to(self, lines: int) -> str:
        """The program's first lines as the response holds them, the last one without its end."""
        return self.line_break.join(self.line_of(line) for line in self.code.split("\n")[:lines])


def dress(program: str, seed: int) -> Dressed:
    """`program` with prints, comments that repeat statements, strings with `#` and quotes, and a docstring; with line
    feeds or carriage returns, blanks or tabs, and a fence that may be indented."""
    draw = random.Random(seed)
    code = _with_extras(program.replace("\r\n", "\n").strip("\n"), draw)
    if draw.random() < 0.3 and "\n\t" not in code and parses(tabbed := _tabbed(code)):
        code = tabbed
    indent = draw.choice(["", "", "   ", "\t"])
    line_break = draw.choice(["\n", "\n", "\r\n"])
    head = draw.choice(["", "The plan: `print(x)`, then return.\n\n", "1. So:\n\n~~~text\nprint(1)\n~~~\n\n"])
    head = (head + indent + draw.choice(["```python", "````py", "~~~python title=a"]) + "\n").replace("\n", line_break)
    fence = "````" if "````" in head else head.strip().splitlines()[-1].strip()[:3]
    tail = line_break + indent + fence + draw.choice(["", line_break, line_break + "It prints `x`." + line_break])
    return Dressed(code, head, lambda line: indent + line if line else line, line_break, tail)


def simple_statement_ends(code: str) -> set[int]:
    """Numbers of the lines on which a statement that holds no other one ends."""
    nodes = (node for node in ast.walk(tree_of(code)) if isinstance(node, ast.stmt))
    return {
        node.end_lineno
        for node in nodes
        if not any(isinstance(child, ast.stmt) for child in ast.walk(node) if child is not node)
    }


def _with_extras(code: str, draw: random.Random) -> str:
    """Whole lines put before statements, and comments behind them, where the syntax tree says that a line is free."""
    lines, starts, ends = code.split("\n"), {}, set()
    for node in ast.walk(tree_of(code)):
        for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            for statement in body if isinstance(body, list) else []:
                starts[min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])] = (
                    statement
                )
    inside = {
        row
        for node in ast.walk(tree_of(code))
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for row in range(node.lineno, node.end_lineno)
    }
    ends = simple_statement_ends(code) - inside
    out = []
    for row, line in enumerate(lines, start=1):
        blank = line[: len(line) - len(line.lstrip())]
        free = (
            row in starts
            and not line.lstrip().startswith("elif")
            and starts[row].col_offset == len(blank.encode())
            and _may_precede(starts[row])
        )
        if free and draw.random() < 0.35:
            out += [blank + extra for extra in draw.choice(_EXTRAS)]
        if row in starts and free and draw.random() < 0.3:
            out += [f"{blank}# {line.strip()}"]
        comment = f"  # {line.strip()}" if row in ends and not line.endswith("\\") and draw.random() < 0.3 else ""
        out.append(line + comment)
    return "\n".join(out)


_EXTRAS = [
    ['seen = \'#fff """ ```\'', "print('seen', seen)"],
    ["note = '''first # no comment", "    print(note)", "  last'''", "print(f'{note!r}')"],
    ["# print(x)", "", "print('here')"],
    ["if 1:", "    deep = 1  # if 1:", "print(locals() and 1)"],
    ["long = (1 +  # one", "", "    2)", "print(long)  # print(long)"],
]


def _may_precede(statement: ast.stmt) -> bool:
    """Nothing may come before a docstring or an import from the future."""
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return not docstring and not (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")


def _tabbed(code: str) -> str:
    lines = []
    for line in code.split("\n"):
        blanks = len(line) - len(line.lstrip(" "))
        lines.append("\t" * (blanks // 4) + line[blanks // 4 * 4 :])
    return "\n".join(lines)
