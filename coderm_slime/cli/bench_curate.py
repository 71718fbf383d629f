"""`coderm bench curate`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from coderm_slime.cli.root import GROUPS


@GROUPS["bench"].command("curate")
def bench_curate(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    problems: Annotated[int, typer.Option(min=1, help="Scripted problems.")] = 200,
    rollouts: Annotated[int, typer.Option(min=1, help="Rollouts of each.")] = 10,
    seconds: Annotated[float, typer.Option(min=0.0, help="That an answer of the FAKE endpoint takes.")] = 1.0,
) -> None:
    """Measure how full curation keeps an endpoint, what a rollout costs here, and whether memory grows.

    Against a FAKE endpoint in another process: 64 answers at the same time, 5 % HTTP errors, 5 % answers without code
    or grade, 3 % cut off. Then the same engine as four processes with static shards of problems and slots.
    """
    from mcts.bench.measure import measure

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("work queue, then static shards", total=2)
        figures = asdict(measure(problems, rollouts, seconds, lambda: bar.advance(task)))
    if as_json:
        typer.echo(json.dumps({name: value and round(value, 4) for name, value in figures.items()}))
        return
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, "none waited" if value is None else f"{value:.4g}")
    Console().print(table)
