"""Small edits of a program, such as people slip in: one place changed, all else to the letter.

Nothing here says that a variant is wrong: many are right still, and `verified` runs their tests. A model can tell
edits by their oddness alone, so pairs made of them are no headline test (see the floors of `coderm eval pairs`).
"""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass

from coderm_slime.pycode import Edit, Places, edited, parses
from coderm_slime.pycode.source import tree_of

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "//"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"),
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sum": "max", "append": "extend", "lower": "upper"}


@dataclass(frozen=True)
class SmallEdit:
    """A variant and the kind of edit: comparison, arithmetic, logic, constant, condition, name, arguments, call,
    range, statement."""

    program: str
    kind: str


def small_edits(program: str, most: int, seed: str) -> list[SmallEdit]:
    """At most `most` different variants that parse, the same ones for the same arguments; kinds take turns.

    Raises:
        SourceError: `program` does not parse.
    """
    by_kind: dict[str, list[str]] = {}
    for kind, edit in _edits(program):
        variant = edited(program, [edit])
        if variant != program and parses(variant):
            by_kind.setdefault(kind, []).append(variant)
    rng = random.Random(seed)
    for variants in by_kind.values():
        rng.shuffle(variants)
    kinds = sorted(by_kind)
    rng.shuffle(kinds)
    chosen: dict[str, str] = {}
    while any(by_kind.values()):
        for kind in kinds:
            if by_kind[kind]:
                chosen.setdefault(by_kind[kind].pop(), kind)
    return [SmallEdit(text, kind) for text, kind in list(chosen.items())[:most]]


def _edits(program: str) -> Iterator[tuple[str, Edit]]:
    tree, places = tree_of(program), Places(program)
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
                yield from _between(program, places, left, right, _COMPARISONS[type(op)], "comparison")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                yield from _between(program, places, left, right, _ARITHMETIC[type(op)], "arithmetic")
            case ast.BoolOp(op=op, values=[left, right]):
                words = ("and", "or") if isinstance(op, ast.And) else ("or", "and")
                yield from _between(program, places, left, right, words, "logic")
            case ast.Constant(value=bool() as value):
                yield "constant", Edit(*places.span(node), str(not value))
            case ast.Constant(value=int() as value):
                yield from (("constant", Edit(*places.span(node), str(value + step))) for step in (1, -1))
            case ast.If(test=test) | ast.While(test=test) if not isinstance(test, ast.Constant):
                yield "condition", Edit(*places.span(test), f"not ({_text(program, places, test)})")
            case ast.Call():
                yield from _call_edits(program, places, node)
            case ast.FunctionDef():
                yield from _name_edits(places, node)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr) and not _is_docstring(node):
            yield "statement", Edit(*places.span(node), "pass")


def _between(
    program: str, places: Places, left: ast.expr, right: ast.expr, words: tuple[str, str], kind: str
) -> Iterator[tuple[str, Edit]]:
    """Swap the operator where it alone, brackets and blanks aside, stands between its operands."""
    start, end = places.span(left)[1], places.span(right)[0]
    text = program[start:end]
    if text.strip("() \t") == words[0]:
        yield kind, Edit(start, end, text.replace(*words))


def _call_edits(program: str, places: Places, call: ast.Call) -> Iterator[tuple[str, Edit]]:
    match call.func:
        case ast.Name(id=name) if name in _CALLS:
            yield "call", Edit(*places.span(call.func), _CALLS[name])
        case ast.Attribute(attr=name) if name in _CALLS:
            end = places.span(call.func)[1]
            yield "call", Edit(end - len(name), end, _CALLS[name])
        case ast.Name(id="range") if call.args:
            last = call.args[0] if len(call.args) == 1 else call.args[1]
            text = _text(program, places, last)
            yield from (("range", Edit(*places.span(last), f"{text}{step}")) for step in (" + 1", " - 1"))
    if len(call.args) == 2 and not any(isinstance(argument, ast.Starred) for argument in call.args):
        first, second = call.args
        between = program[places.span(first)[1] : places.span(second)[0]]
        swapped = _text(program, places, second) + between + _text(program, places, first)
        yield "arguments", Edit(places.span(first)[0], places.span(second)[1], swapped)


def _name_edits(places: Places, function: ast.FunctionDef) -> Iterator[tuple[str, Edit]]:
    """A name that is read becomes another one of the same function."""
    arguments = [argument.arg for argument in function.args.args]
    stored = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    names = sorted({*arguments, *stored} - {"self", "_"})
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
            yield from (("name", Edit(*places.span(node), other)) for other in names if other != node.id)


def _text(program: str, places: Places, node: ast.expr) -> str:
    start, end = places.span(node)
    return program[start:end]


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
