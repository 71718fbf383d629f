"""A program's entry function as a syntax node, where it is plain enough to reason about."""

import ast
from collections.abc import Iterator

from coderm_slime.pycode.source import tree_of

_OTHER_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def plain_function(program: str, name: str) -> ast.FunctionDef | None:
    """The function `name` of `program`; None if it is no function, async, a generator, decorated or there twice."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = [node for node in tree_of(program).body if isinstance(node, kinds) and node.name == name]
    match found:
        case [ast.FunctionDef(decorator_list=[]) as function]:
            yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(function))
            return None if yields else function
    return None


def own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of the function's body, those of functions and classes inside it left out."""
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop(0)
        yield node
        if not isinstance(node, _OTHER_SCOPES):
            todo.extend(ast.iter_child_nodes(node))


def own_returns(function: ast.FunctionDef) -> list[ast.expr]:
    """The expressions that the function itself returns, those that are the word `None` left out."""
    values = [node.value for node in own_nodes(function) if isinstance(node, ast.Return)]
    return [value for value in values if value and not (isinstance(value, ast.Constant) and value.value is None)]


def plain_parameters(function: ast.FunctionDef) -> list[str] | None:
    """The names of the parameters if all are positional and none has a default."""
    args = function.args
    special = args.vararg or args.kwarg or args.kwonlyargs or args.posonlyargs or args.defaults
    return None if special else [arg.arg for arg in args.args]
