"""The command line `coderm`. Thin: options, progress and messages; the work is done elsewhere.

A light module for each command or group adds it to `app` or to a shared group of
`coderm_slime.cli.root`, and a line in `PARTS`. What is heavy (torch, an upper package) is imported inside the command.
"""

import importlib
import os
import sys

import typer
from rich.console import Console
from rich.text import Text

from coderm_slime.cli.root import GROUPS, app
from coderm_slime.errors import CodermError

PARTS = (
    "coderm_slime.cli.doctor",
    "coderm_slime.cli.score",
    "coderm_slime.cli.serve",
    "coderm_slime.cli.prepare",
    "coderm_slime.cli.data",
    "coderm_slime.cli.data_problems",
    "coderm_slime.cli.data_mutants",
    "coderm_slime.cli.evaluate",
    "coderm_slime.cli.bench",
    "coderm_slime.cli.fit_head",
    "coderm_slime.cli.exec",
    "coderm_slime.cli.bench_sandbox",
    "coderm_slime.cli.sandbox_serve",
    "coderm_slime.cli.sandbox_attack",
    "coderm_slime.cli.train_rm",
    "coderm_slime.cli.bench_train_rm",
    "coderm_slime.cli.curate",
    "coderm_slime.cli.curate_status",
    "coderm_slime.cli.bench_curate",
    "coderm_slime.cli.curate_export",
    "coderm_slime.cli.curate_calibrate",
    "coderm_slime.cli.curate_view",
    "coderm_slime.cli.curate_view",
    "coderm_slime.cli.curate_calibrate",
)


def build() -> typer.Typer:
    """The whole command tree, less the parts that cannot be imported, which are named on stderr."""
    for part in PARTS:
        try:
            importlib.import_module(part)
        except ImportError as error:
            Console(stderr=True).print(
                f"the commands of {part} are missing: {error} (see `coderm doctor`)", markup=False
            )
    for name, group in GROUPS.items():
        if group.registered_commands:  # an empty group would promise what is not there
            app.add_typer(group, name=name)
    return app


def main() -> None:
    """Entry point. An error that its text explains ends in one line and exit code 1; Ctrl-C in 130."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # "PyTorch was not found": scoring needs none
    try:
        build()()
    except (CodermError, OSError) as error:
        line = Text.assemble(("error: ", "bold red"), str(error))
        Console(stderr=True).print(line, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted")
        sys.exit(130)
