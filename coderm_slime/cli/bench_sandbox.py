"""`coderm bench sandbox`."""

import asyncio
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from coderm_slime.cli.root import GROUPS


@GROUPS["bench"].command("sandbox")
def bench_sandbox(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Medians are over so many.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of one measurement.")] = 1.0,
    workers: Annotated[int, typer.Option(min=2, help="Measured are 1, 2, 4, ... up to this.")] = 2,
) -> None:
    """Runs a second in the sandbox, beside those of `python -c` and `python -I -S -c`, by the same interpreter.

    Each run prints a number of its own, which is checked. Headline figures are those at 2 workers.
    """
    from coderm_slime.sandbox.bench import measure
    from coderm_slime.settings import load_settings

    counts = [2**power for power in range(workers.bit_length()) if 2**power <= workers]
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("runs a second", total=rounds * len(counts))
        settings = load_settings().sandbox
        report = asyncio.run(measure(settings, counts, rounds, seconds, lambda: bar.advance(task)))
    if as_json:
        typer.echo(json.dumps(report.figures()))
        return
    table = Table("workers", "runs/s", "python -c /s", "python -I -S -c /s", "ratio", "ratio, bare")
    for count, speed in report.by_workers.items():
        values = (speed.sandbox, speed.python_c, speed.bare, speed.ratio, speed.ratio_bare)
        table.add_row(str(count), *(f"{value:.4g}" for value in values))
    Console().print(table)
    Console().print(f"layers on: {', '.join(report.layers)}")
