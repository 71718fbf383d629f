"""What every program of a problem must define: the entry point, fixed before anything is asked."""

import ast
from dataclasses import dataclass

from coderm_slime.pycode import SourceError, entry_points, tree_of
from coderm_slime.records import Problem
from mcts.failures import FailureReason, StepFailed

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Target:
    """A problem that a search can be made of.

    Attributes:
        solution: the reference solution, which parses and defines `entry_point`.
        signature: name and parameters of a function; empty for a class.
        names: what the solution defines or imports at its top level, which calls may use.
    """

    problem: str
    solution: str
    entry_point: str
    signature: str
    names: frozenset[str]


def target_of(problem: Problem) -> Target:
    """The problem's entry point: as it names it, else the last top-level definition that no other one uses.

    Raises:
        StepFailed: there is no solution, or it does not parse or define the entry point.
    """
    if not problem.solution or not problem.solution.strip():
        raise StepFailed(FailureReason.NO_SOLUTION, "the problem has no reference solution")
    try:
        defined, tree = entry_points(problem.solution), tree_of(problem.solution)
    except SourceError as error:
        raise StepFailed(FailureReason.SYNTAX_ERROR, f"the reference solution: {error}") from None
    name = problem.entry_point or _last_unused(tree, defined)
    if name not in defined:
        raise StepFailed(
            FailureReason.NO_ENTRY_POINT, f"the solution defines {', '.join(defined) or 'nothing'}, not {name}"
        )
    return Target(problem.problem, problem.solution, name, _signature(tree, name), frozenset(_names(tree)))


def _last_unused(tree: ast.Module, defined: list[str]) -> str | None:
    used = {
        node.id
        for statement in tree.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and node.id != getattr(statement, "name", None)
    }
    alone = [name for name in defined if name not in used] or defined
    return alone[-1] if alone else None


def _signature(tree: ast.Module, name: str) -> str:
    node = [one for one in tree.body if isinstance(one, _Definition) and one.name == name][-1]
    return "" if isinstance(node, ast.ClassDef) else f"{name}({ast.unparse(node.args)})"


def _names(tree: ast.Module) -> set[str]:
    names = set()
    for statement in tree.body:
        if isinstance(statement, _Definition):
            names.add(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
        else:
            names |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return names
