"""The house rules that a machine can hold: who imports whom, how long things are, what an import may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "coderm_slime": set(),
    "reward": {"coderm_slime"},
    "mcts": {"coderm_slime"},
    "rm_train": {"coderm_slime"},
    "rollout": {"coderm_slime", "reward"},
}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 500, 80
IMPORT_CPU_S = 0.7
PACKAGES = list(MAY_IMPORT)
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports_of(tree: ast.AST) -> set[str]:
    """Top-level packages named by import statements, those inside functions included."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_between_packages_run_downwards_only(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    inside = imports_of(ast.parse(path.read_text())) & set(PACKAGES)
    if path.is_relative_to(ROOT / "coderm_slime" / "cli"):
        return  # the command line may reach up; a test below holds that it does so lazily
    assert inside <= MAY_IMPORT[package] | {package}


def test_the_import_check_sees_a_forbidden_import() -> None:
    assert imports_of(ast.parse("def f():\n    from rollout.filters import x")) == {"rollout"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_fit_their_limits(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE_LINES
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module opens by saying what it does"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, node.name


def loaded_after(statement: str) -> tuple[set[str], float]:
    """Top-level modules in a fresh process after `statement`, and the CPU seconds that it took there."""
    code = (
        f"import sys, time\nstart = time.process_time()\n{statement}\n"
        "print(time.process_time() - start, *{name.split('.')[0] for name in sys.modules})"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    seconds, *names = out.split()
    return set(names), float(seconds)


def test_the_plugin_imports_without_torch_or_transformers_and_quickly() -> None:
    runs = [loaded_after("import reward.coderm_nt, reward.trl") for _ in range(3)]
    names = runs[0][0]
    assert "coderm_slime" in names
    assert not names & {"torch", "transformers", "fastapi", "sglang", "trl", "typer"}
    assert min(seconds for _, seconds in runs) < IMPORT_CPU_S  # the least of three: a busy machine is not our cost


def test_the_command_line_loads_no_upper_package_and_no_torch_before_a_command_runs() -> None:
    names, _ = loaded_after("from coderm_slime.cli import build; build()")
    assert not names & {"torch", "transformers", "reward", "rollout", "mcts", "rm_train"}
