"""Which statements of a piece of test code can fail, told by its syntax tree; nothing is run.

A statement that is not recognised is never taken for a test: it would be passed by every program.
"""

import ast

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Binding = ast.Assign | ast.AugAssign | ast.AnnAssign  # `root = build(3)` prepares, even if build() asserts something


class TopLevel:
    """The statements of a module of test code.

    Attributes:
        body: all of them.
        checks: positions in `body` of those that can fail: asserts, and what holds one or calls what holds one.
        test_functions: names of functions and classes that pytest would collect.
        used: names in statements that run at import.
        check_awaits_a_call: whether a function `check` that can fail is defined and not used.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.body = tree.body
        self.functions = {node.name: node for node in self.body if isinstance(node, _Function)}
        self.test_functions = {name for node in self.body if (name := _collected(node))}
        running = [node for node in self.body if not isinstance(node, Definition)]
        self.used = {part.id for node in running for part in ast.walk(node) if isinstance(part, ast.Name)}
        checkers = self._checkers()
        self.checks = [
            place
            for place, node in enumerate(self.body)
            if not isinstance(node, Definition | _Binding) and _can_fail(node, checkers)
        ]
        self.check_awaits_a_call = "check" in checkers - self.used

    def imports(self, module: str) -> bool:
        """Whether any statement, functions included, imports `module`."""
        return any(module in _modules(part) for node in self.body for part in ast.walk(node))

    def main_guards(self) -> list[ast.If]:
        """The statements `if __name__ == "__main__":`."""
        return [node for node in self.body if isinstance(node, ast.If) and _is_main(node.test)]

    def _checkers(self) -> set[str]:
        """Names of functions that can fail, be it through one another."""
        called = {name: _called(node) for name, node in self.functions.items()}
        found = {name for name, node in self.functions.items() if _can_fail(node, set())}
        while new := {name for name, names in called.items() if name not in found and names & found}:
            found |= new
        return found


def _can_fail(node: ast.AST, checkers: set[str]) -> bool:
    return any(_fails(part) for part in ast.walk(node)) or bool(_called(node) & checkers)


def _fails(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return _last_name(raised) == "AssertionError"
    if isinstance(node, ast.Call):  # self.assertEqual, np.testing.assert_allclose, pytest.raises
        name = _last_name(node.func)
        return name.startswith("assert") or name == "raises"
    return isinstance(node, ast.Assert)


def _called(node: ast.AST) -> set[str]:
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    return {called.id for called in calls if isinstance(called, ast.Name)}


def _last_name(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _collected(node: ast.stmt) -> str | None:
    """The name of what pytest would collect."""
    if isinstance(node, ast.ClassDef):
        named = node.name.startswith("Test") or any(_last_name(base).endswith("TestCase") for base in node.bases)
        return node.name if named and any(_is_test(part) for part in node.body) else None
    return node.name if isinstance(node, _Function) and _is_test(node) else None


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, _Function) and node.name.startswith("test")


def _is_main(test: ast.expr) -> bool:
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return False
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in (test.left, *test.comparators))


def _modules(node: ast.AST) -> set[str | None]:
    if isinstance(node, ast.ImportFrom):
        return {node.module}
    return {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
