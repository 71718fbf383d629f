"""Whether a program is another one with prints added. By syntax trees: layout and comments are no matter.

What a rewriting may add: calls of `print`, docstrings, and assignments to names that the original does not have, such
as `condition = a > b` to print it. Blocks that hold nothing else may come with them. All other statements must be the
original's, in its order and at their places, its mistakes included.
"""

import ast
from collections.abc import Iterable

from coderm_slime.pycode import tree_of


def keeps_code(original: str, rewritten: str) -> bool:
    """Whether `rewritten` keeps all of `original` and adds only what the module says.

    Raises:
        SourceError: one of them does not parse.
    """
    before, after = tree_of(original), tree_of(rewritten)
    names = {node.id for node in ast.walk(before) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(before) if isinstance(node, ast.arg)}
    for tree in (before, after):
        _strip(tree, names)
    return ast.dump(before) == ast.dump(after)


def _strip(node: ast.AST, names: set[str]) -> None:
    """Take out of all blocks below `node` what may have been added; expressions hold no blocks."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        block = getattr(node, field, None)
        if isinstance(block, list):
            for one in block:
                _strip(one, names)
            block[:] = [one for one in block if not _is_extra(one, names)]


def _is_extra(statement: ast.AST, names: set[str]) -> bool:
    if isinstance(statement, ast.Expr):
        return _is_print(statement.value) or isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign):
        return all(isinstance(one, ast.Name) and one.id not in names for one in _targets(statement.targets))
    if isinstance(statement, ast.If):
        return not statement.body and not statement.orelse
    return isinstance(statement, ast.Pass)


def _targets(targets: Iterable[ast.expr]) -> Iterable[ast.expr]:
    for target in targets:
        if isinstance(target, ast.Tuple):
            yield from _targets(target.elts)
        else:
            yield target


def _is_print(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print"
