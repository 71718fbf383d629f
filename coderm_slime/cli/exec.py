"""`coderm exec`: one file in the sandbox."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from coderm_slime.cli.root import app
from coderm_slime.errors import CodermError

_SIGNAL_BASE = 128  # as shells show a process that a signal ended
_NOT_BY_ITSELF = 124  # as timeout(1) shows one that it ended


@app.command("exec")
def execute(
    file: Annotated[Path, typer.Argument(help="Python source.")],
    wall_s: Annotated[float, typer.Option(min=0.01, help="Seconds that it may take.")] = 10.0,
    memory_mib: Annotated[int, typer.Option(min=64, help="Address space of each of its processes.")] = 1024,
    backend: Annotated[
        Literal["local", "docker", "http"] | None, typer.Option(help="Who runs it; by default sandbox.backend.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No table.")] = False,
) -> None:
    """Run a file in the sandbox, with this command's stdin; show its output, and on stderr how it ended.

    The exit code is the program's own, 128 + n after signal n, 124 where a limit ended it.
    """
    from coderm_slime.sandbox import Limits, Program, run_sync
    from coderm_slime.settings import load_settings

    stdin = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    try:
        source = file.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise CodermError(f"cannot read {file}: {error.strerror}") from error
    program = Program(source, stdin=stdin, limits=Limits(wall_s=wall_s, cpu_s=wall_s, memory_bytes=memory_mib << 20))
    result = run_sync(program, load_settings(options={"sandbox": {"backend": backend}} if backend else None).sandbox)
    sys.stdout.write(result.stdout)
    sys.stdout.flush()
    sys.stderr.write(result.stderr)
    if not quiet:
        table = Table("ending", "exit code", "signal", "wall s", "CPU s", "layers")
        codes = ["" if code is None else str(code) for code in (result.exit_code, result.signal)]
        times = (f"{result.wall_s:.3f}", f"{result.cpu_s:.3f}")
        table.add_row(result.ending.value, *codes, *times, ", ".join(result.layers))
        Console(stderr=True).print(table)
    raise typer.Exit(_exit_code(result.ending.value, result.exit_code, result.signal))


def _exit_code(ending: str, exit_code: int | None, signal: int | None) -> int:
    if ending in ("timeout", "output_limit", "disk_limit"):
        return _NOT_BY_ITSELF
    return exit_code if exit_code is not None else _SIGNAL_BASE + (signal or 0)
