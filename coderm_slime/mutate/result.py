"""Variants that compute the right result and return another one.

Every `return` of the entry function is edited in the same way, so that whichever one a call takes, it returns
`effect(v)` where the right program returns `v`. The proof needs one `v` with `effect(v) != v`: a result that the
problem's test asserts, or, in its absence, an annotation (`bool`, `int`, `float`) and an effect that changes every
value. A function that names itself is left alone: an error that meets itself may cancel out.
"""

import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from coderm_slime.mutate.expected import Expected
from coderm_slime.mutate.functions import own_returns, plain_function
from coderm_slime.pycode import Edit, Places, edited
from coderm_slime.pycode.source import SourceError, tree_of


@dataclass(frozen=True)
class _Change:
    """What is written around a returned expression and what that makes of its value.

    Attributes:
        certain: whether no value at all stays the same, NaN and infinity aside.
    """

    before: str
    after: str
    effect: Callable[[Any], Any]
    certain: bool = False


_NUMBER = (
    _Change("", " + 1", lambda v: v + 1, certain=True),
    _Change("", " - 1", lambda v: v - 1, certain=True),
    _Change("-", "", lambda v: -v),
)
_SLICES = (
    _Change("", "[:-1]", lambda v: v[:-1]),
    _Change("", "[1:]", lambda v: v[1:]),
    _Change("", "[::-1]", lambda v: v[::-1]),
)
_CHANGES: dict[type, tuple[_Change, ...]] = {
    bool: (_Change("not ", "", lambda v: not v, certain=True),),
    int: (*_NUMBER, _Change("", " // 2", lambda v: v // 2), _Change("abs(", ")", abs)),
    float: (*_NUMBER, _Change("int(", ")", int), _Change("abs(", ")", abs)),
    str: (*_SLICES, _Change("", ".upper()", str.upper), _Change("", ".lower()", str.lower)),
    list: (*_SLICES, _Change("sorted(", ")", sorted)),
    tuple: (*_SLICES, _Change("tuple(sorted(", "))", lambda v: tuple(sorted(v)))),
}
_AS_IT_IS = _Change("", "", lambda v: v)
_OPPOSITES: dict[type, tuple[str, str]] = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}


def wrong_results(program: str, name: str, calls: list[Expected]) -> list[str]:
    """All such variants of `program` whose proof holds, given that it is right on `calls`."""
    function = plain_function(program, name)
    if function is None or any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(tree_of(program))):
        return []
    values, places = own_returns(function), Places(program)
    variants = [
        edited(program, [_edit(program, places, value, change) for value in values])
        for change in _proven(function, calls)
    ]
    return sorted(set(variants) - {program})


def _proven(function: ast.FunctionDef, calls: list[Expected]) -> Iterator[_Change]:
    results = [call.result for call in calls if call.result is not None]  # an edited return never says None
    kinds = {type(result) for result in results}
    if len(kinds) == 1:
        yield from (c for c in _CHANGES.get(kinds.pop(), ()) if any(_differs(c.effect, v) for v in results))
    elif not calls and isinstance(function.returns, ast.Name):
        named = {kind.__name__: changes for kind, changes in _CHANGES.items()}
        yield from (change for change in named.get(function.returns.id, ()) if change.certain)


def _differs(effect: Callable[[Any], Any], value: object) -> bool:
    try:
        return bool(effect(value) != value)
    except (TypeError, ValueError, OverflowError):  # unsortable, infinite: nothing is proven by this value
        return False


def _edit(program: str, places: Places, value: ast.expr, change: _Change) -> Edit:
    start, end = places.span(value)
    text = program[start:end]
    return Edit(start, end, _folded(value, text, change) or _opposite(text, change) or _around(text, change))


def _folded(value: ast.expr, text: str, change: _Change) -> str | None:
    """A literal's new value as a literal: `return 0`, not `return 1 - 1`."""
    try:
        new = change.effect(ast.literal_eval(value))
    except (ValueError, TypeError):
        return None
    return json.dumps(new, ensure_ascii=False) if isinstance(new, str) and text[0] == '"' else repr(new)


def _opposite(text: str, change: _Change) -> str | None:
    """A negation as people write it: `x != y` for `not x == y`, `x` for `not not x`."""
    if change.before != "not ":
        return None
    code = f"({text})"
    [statement] = tree_of(code).body
    places = Places(code)
    match statement:
        case ast.Expr(value=ast.UnaryOp(op=ast.Not(), operand=operand)):
            start, end = places.span(operand)
            return _around(code[start:end], _AS_IT_IS)
        case ast.Expr(value=ast.Compare(left=left, ops=[op], comparators=[right])) if type(op) in _OPPOSITES:
            old, new = _OPPOSITES[type(op)]
            start, end = places.span(left)[1], places.span(right)[0]
            if old in code[start:end]:
                return edited(code, [Edit(start, end, code[start:end].replace(old, new))])[1:-1]
    return None


def _around(text: str, change: _Change) -> str:
    bare, wrapped = (f"{change.before}{inner}{change.after}" for inner in (text, f"({text})"))
    return bare if _same(bare, wrapped) else wrapped


def _same(first: str, second: str) -> bool:
    """Whether two expressions have one syntax tree. Brackets around them let them run over several lines."""
    try:
        return ast.dump(tree_of(f"({first})")) == ast.dump(tree_of(f"({second})"))
    except SourceError:
        return False
