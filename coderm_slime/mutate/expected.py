"""What a problem's own test expects of its entry point, read from the test's text without running it.

Read are `assert f(...) == LITERAL` and `is LITERAL`, also where the test hands the entry point to a function of its
own, as HumanEval's `check(candidate)` does. Other asserts say nothing here.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from coderm_slime.pycode.source import tree_of
from coderm_slime.records import Problem


@dataclass(frozen=True)
class Expected:
    """One asserted call.

    Attributes:
        result: the value it must return.
        args: its positional arguments; None if one of them is no literal.
    """

    result: object
    args: tuple[object, ...] | None


def expected(problem: Problem) -> list[Expected]:
    """The asserted calls of the problem's test in order; none if it has no test.

    Raises:
        SourceError: the test does not parse.
    """
    tree = tree_of(problem.test or "")
    names = {problem.entry_point, *_parameters_given(tree, problem.entry_point)}
    return [found for node in ast.walk(tree) if isinstance(node, ast.Assert) for found in _asserted(node.test, names)]


def _asserted(test: ast.expr, names: set[str | None]) -> Iterator[Expected]:
    match test:
        case ast.Compare(
            left=ast.Call(func=ast.Name(id=name), args=args, keywords=[]),
            ops=[ast.Eq() | ast.Is()],
            comparators=[value],
        ) if name in names:
            try:
                result = ast.literal_eval(value)
            except (ValueError, TypeError):
                return
            yield Expected(result, _literals(args))


def _literals(nodes: list[ast.expr]) -> tuple[object, ...] | None:
    try:
        return tuple(ast.literal_eval(node) for node in nodes)
    except (ValueError, TypeError):
        return None


def _parameters_given(tree: ast.Module, name: str | None) -> Iterator[str]:
    """The first parameters of the test's own functions that are called with the entry point alone."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in tree.body:
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id=callee), args=[ast.Name(id=given)])) if given == name:
                if callee in functions and functions[callee].args.args:
                    yield functions[callee].args.args[0].arg
