"""Of what family (number, str, list, tuple, dict, set) a function's result must be, by its syntax alone.

Values of two families are never equal, whatever the arguments were. Builtin arguments are taken for granted: a class
of its own may compare as it likes. Where the syntax does not force a family, the answer is None, never a guess.
"""

import ast

from coderm_slime.mutate.functions import own_returns

Families = frozenset[str]

_FAMILY_OF = {bool: "number", int: "number", float: "number", complex: "number"}
_CALLS = {
    "number": {"len", "int", "float", "bool", "any", "all", "isinstance", "ord", "round"},
    "str": {"str", "chr", "repr", "bin", "hex"},
    "list": {"list", "sorted"},
    "tuple": {"tuple"},
    "dict": {"dict"},
    "set": {"set"},
}
_FAMILY_OF_CALL = {name: family for family, names in _CALLS.items() for name in names}
_DISPLAYS: dict[type, str] = {
    ast.Compare: "number",
    ast.JoinedStr: "str",
    ast.List: "list",
    ast.ListComp: "list",
    ast.Tuple: "tuple",
    ast.Dict: "dict",
    ast.DictComp: "dict",
    ast.Set: "set",
    ast.SetComp: "set",
}
_STR_METHODS = {"join", "lower", "upper", "replace", "strip", "title"}


def family(value: object) -> str:
    """The family of a value; a type that has none of the names above is its own."""
    return _FAMILY_OF.get(type(value), type(value).__name__)


def result_families(function: ast.FunctionDef) -> Families | None:
    """The families of what `function` may return, `None` aside; None if its syntax does not force them."""
    return _union([_families(value, function) for value in own_returns(function)])


def _families(node: ast.expr, function: ast.FunctionDef) -> Families | None:
    if type(node) in _DISPLAYS:
        return frozenset({_DISPLAYS[type(node)]})
    match node:
        case ast.Constant(value=value):
            return frozenset({family(value)})
        case ast.UnaryOp(op=ast.Not()):
            return frozenset({"number"})
        case ast.BoolOp(values=values):
            return _union([_families(value, function) for value in values])
        case ast.IfExp(body=body, orelse=orelse):
            return _union([_families(body, function), _families(orelse, function)])
        case ast.Call(func=ast.Name(id=name)) if name in _FAMILY_OF_CALL and not _bindings(name, function):
            return frozenset({_FAMILY_OF_CALL[name]})
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr=method)) if method in _STR_METHODS:
            return frozenset({"str"})
        case ast.Name(id=name):
            return _variable(name, function)
    return None


def _variable(name: str, function: ast.FunctionDef) -> Families | None:
    """The family of a local collection or text: all that binds it is a literal or call of its family, or `+=`."""
    known: list[Families | None] = []
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                plain = isinstance(value, ast.Constant | ast.Call) or type(value) in _DISPLAYS
                known.append(_families(value, function) if plain else None)
            case ast.AugAssign(op=ast.Add(), target=ast.Name(id=target)) if target == name:
                known.append(frozenset())  # `+=` keeps the family of a list, a tuple and a text, or raises
    families = _union(known)
    complete = len(known) == _bindings(name, function)
    return families if complete and families and "number" not in families else None


def _bindings(name: str, function: ast.FunctionDef) -> int:
    """How often `name` is bound in the function, in whatever way."""
    count = 0
    for node in ast.walk(function):
        match node:
            case ast.Name(id=found, ctx=ast.Store() | ast.Del()) | ast.arg(arg=found) | ast.FunctionDef(name=found):
                count += found == name
    return count


def _union(parts: list[Families | None]) -> Families | None:
    known = [part for part in parts if part is not None]
    return frozenset().union(*known) if parts and len(known) == len(parts) else None
