"""Calls of an entry point, read out of whatever a model wrote. Nothing is invented or mended: a call that is taken
stood there, parses, names the entry point, and uses nothing that is not defined.

Taken are top-level statements of the answer's block, where it parses, and then single lines of the whole answer that
are not indented, or are a prompt's (`>>> f(1)`), with a list's mark or backticks around them taken off. Such a
statement is a call, also within a print; or an assignment or import before one. An expected result is left off: of
`assert f(1) == 2`, `f(1) == 2` and a line `f(1) -> 2` the call `f(1)` stays.
"""

import ast
import builtins
import re
from collections.abc import Collection, Iterator

from coderm_slime.pycode import SourceError, answer_code, tree_of

_MAX_STATEMENT_CHARS = 2000  # a call that a reader is to follow; a larger one would crowd out its output
_SETUP_FOR_EACH_CALL = 4
_LIST_MARK = re.compile(r"\s*(?:[-*+]\s|\d+[.)]\s|>>>\s)?\s*(`*)(?P<code>.*?)\1\s*")
_EXPECTED = re.compile(r"\s*(?:->|=>|→).*")
_BUILTINS = frozenset(dir(builtins)) - {"input", "open", "exit", "quit", "breakpoint"}


def calls_in(answer: str, entry_point: str, names: Collection[str], max_calls: int) -> list[str]:
    """The statements in order, each on one line; the last one is a call, and at most `max_calls` are.

    Args:
        names: what the program defines at its top level.
    """
    kept: list[str] = []
    setup: list[str] = []
    calls, known, objects = 0, set(names) | {entry_point}, set[str]()
    for statement in _statements(answer):
        line = _one_line(statement)
        if line is None or line in kept or line in setup or not _free_names(statement) <= known | _BUILTINS:
            continue
        if not _calls(statement, {entry_point} | objects):
            setup = [*setup, line][-_SETUP_FOR_EACH_CALL:] if _is_setup(statement) else setup
        else:
            calls += 1
            kept += [*setup, line]
            setup = []
            objects |= _assigned(statement)
        known |= _assigned(statement)
        if calls == max_calls:
            break
    return kept


def _statements(answer: str) -> Iterator[ast.stmt]:
    block = answer_code(answer)
    yield from map(_without_expectation, _parsed(block.code) if block else [])
    for line in answer.splitlines():
        found = None if line[:1].isspace() and not line.lstrip().startswith(">>>") else _LIST_MARK.fullmatch(line)
        code = found["code"] if found else ""
        yield from map(_without_expectation, _parsed(code) or _parsed(_EXPECTED.sub("", code)))


def _parsed(code: str) -> list[ast.stmt]:
    """The statements of `code`; none of what does not parse."""
    try:
        return tree_of(code).body
    except SourceError:
        return []


def _without_expectation(statement: ast.stmt) -> ast.stmt:
    value = statement.test if isinstance(statement, ast.Assert) else None
    if isinstance(statement, ast.Expr):
        value = statement.value
    if isinstance(value, ast.Compare) and isinstance(value.left, ast.Call):
        value = value.left
    return statement if value is None else ast.Expr(value)


def _one_line(statement: ast.stmt) -> str | None:
    if not isinstance(statement, ast.Expr | ast.Assign | ast.Import | ast.ImportFrom):
        return None
    try:
        line = ast.unparse(ast.fix_missing_locations(statement))
    except (ValueError, RecursionError):
        return None
    return line if len(line) <= _MAX_STATEMENT_CHARS and "\n" not in line else None


def _calls(statement: ast.stmt, names: set[str]) -> bool:
    """Whether it calls one of `names`, or a method of one."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            function = node.func
            while isinstance(function, ast.Attribute):
                function = function.value
            if isinstance(function, ast.Name) and function.id in names:
                return True
    return False


def _is_setup(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign | ast.Import | ast.ImportFrom)


def _assigned(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def _free_names(statement: ast.stmt) -> set[str]:
    """Names that it reads and does not bind itself, as comprehensions and lambdas do."""
    nodes = list(ast.walk(statement))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)} - bound
