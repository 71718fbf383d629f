"""The two programs that the sandbox runs, each one text: the modules of `guest` and a call of `main`.

Compiled code goes along for interpreters of our own version, the text for all others: compiling it takes 40 ms a run.
"""

import functools
import importlib.util
import marshal
from pathlib import Path
from typing import Any

_PACKAGE = "coderm_slime.testing.guest"
_COMMON = ("wire", "kinds", "codec", "errors", "mirror", "mirrors", "peer")
# The standard library's part of what the guest imports: preloaded by the sandbox, so that a run does not wait for it.
PRELOADED = ("json", "socket", "ast", "decimal", "fractions", "datetime", "pathlib", "array", "linecache", "traceback")
RPC_FD, REPORT_FD = 3, 4

_LOADER = """
import marshal, sys, types
def _load(package, modules, magic):
    own = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER == magic
    parts = package.split(".")
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
    for name, text, code in modules:
        full = package + "." + name
        module = sys.modules[full] = types.ModuleType(full)
        exec(marshal.loads(code) if own else compile(text, name + ".py", "exec"), module.__dict__)
"""


def answer_source(program: str) -> str:
    """The program of the answer's process."""
    return f"{_modules('answer')}({program!a}, {RPC_FD})\n"


def examiner_source(task: dict[str, Any]) -> str:
    """The program of the tests' process.

    Args:
        task: kind, entry_point, setup, and tests or cases; literals only.
    """
    extra = ("pytest_run",) if task["kind"] == "pytest" else ()
    return f"{_modules('examiner', *extra)}({task!a}, {RPC_FD}, {REPORT_FD})\n"


@functools.cache
def _modules(main: str, *others: str) -> str:
    """Source that loads the modules and ends with the expression that is `main`."""
    folder = Path(__file__).with_name("guest")
    texts = [(name, (folder / f"{name}.py").read_text(encoding="utf-8")) for name in (*_COMMON, main, *others)]
    modules = [(name, text, marshal.dumps(compile(text, f"{name}.py", "exec"))) for name, text in texts]
    loaded = f"_load({_PACKAGE!r}, {modules!a}, {importlib.util.MAGIC_NUMBER!r})"
    return f"{_LOADER}{loaded}; sys.modules[{_PACKAGE + '.' + main!r}].main"
