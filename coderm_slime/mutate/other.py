"""Variants that solve another problem: its solution's body under this problem's header.

The parameters of the body take the header's names. The proof: by its syntax the body returns values of families
(see `families`) to which a result that this problem's test asserts does not belong, so it fails that assert, whatever
it computes. Bodies that might be right by chance, a number for a number, are not used.
"""

import ast
import builtins

from coderm_slime.mutate.expected import Expected
from coderm_slime.mutate.families import family, result_families
from coderm_slime.mutate.functions import plain_function, plain_parameters
from coderm_slime.pycode import Edit, Places, edited

# They bind names in ways of their own; and inside an f-string, `ast` gives wrong positions before Python 3.12.
_NOT_RENAMED = (
    *(ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom, ast.ExceptHandler, ast.ClassDef, ast.AsyncFunctionDef),
    *(ast.MatchAs, ast.MatchStar, ast.MatchMapping, ast.JoinedStr),
)


def with_body_of(program: str, name: str, calls: list[Expected], donor: str, donor_name: str) -> str | None:
    """`program` with the body of `donor`'s function, or None where that cannot be written or is not proven wrong."""
    ours, theirs = plain_function(program, name), plain_function(donor, donor_name)
    if ours is None or theirs is None or ours.body[0].col_offset != theirs.body[0].col_offset:
        return None
    families = result_families(theirs)
    if families is None or all(call.result is None or family(call.result) in families for call in calls):
        return None
    names = _new_names(ours, theirs)
    if names is None:
        return None
    body = _body(donor, theirs, names)
    places = Places(program)
    return edited(program, [Edit(places.span(ours.body[0])[0], places.span(ours)[1], body)])


def _new_names(ours: ast.FunctionDef, theirs: ast.FunctionDef) -> dict[str, str] | None:
    """What the names in the donor's body become; None if a name would mean two things, or nothing."""
    new, old = plain_parameters(ours), plain_parameters(theirs)
    if new is None or old is None or len(new) != len(old):
        return None
    names = dict(zip(old, new, strict=True)) | {theirs.name: ours.name}
    nodes = [node for statement in theirs.body for node in ast.walk(statement)]
    if any(isinstance(node, _NOT_RENAMED) for node in nodes):
        return None
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)} | defined
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    foreign = used - bound - names.keys() - set(dir(builtins))
    taken = (used | bound) - names.keys()
    return None if foreign or taken & set(names.values()) or defined & names.keys() else names


def _body(code: str, function: ast.FunctionDef, names: dict[str, str]) -> str:
    places = Places(code)
    start, end = places.span(function.body[0])[0], places.span(function)[1]
    edits = []
    for statement in function.body:
        for node in ast.walk(statement):
            old = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else None
            if old in names and isinstance(node, ast.Name | ast.arg):
                at = places.span(node)[0] - start
                edits.append(Edit(at, at + len(old), names[old]))
    return edited(code[start:end], edits)
