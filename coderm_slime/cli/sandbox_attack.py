"""`coderm sandbox attack`."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError

if TYPE_CHECKING:
    from coderm_slime.sandbox.attacks import Attack, Row


@GROUPS["sandbox"].command("attack")
def attack(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    only: Annotated[str, typer.Option(help="Only the cases with this in their names.")] = "",
) -> None:
    """Attack the sandbox with the layers of this machine, a minute for all cases; exit code 1 if an attack succeeds.

    Each attack is also made outside, as a plain process against files, listeners and processes made for it: one that
    achieves nothing there either shows nothing.
    """
    from coderm_slime.sandbox.attacks import ATTACKS

    cases = [case for case in ATTACKS if only in case.name]
    if not cases:
        raise CodermError(f"no attack has {only!r} in its name")
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("attacks", total=len(cases))
        rows, layers = asyncio.run(_rows(cases, lambda: bar.advance(task)))
    escaped = sum(row.escaped for row in rows)
    counted = sum(row.counts for row in rows)
    if as_json:
        figures = {"attacks": len(rows), "with_control": counted, "escaped": escaped, "layers": layers}
        typer.echo(json.dumps({**figures, "rows": [asdict(row) for row in rows]}))
    else:
        _show(rows)
        Console().print(f"{len(rows)} attacks, {counted} with a control that works, {escaped} escaped")
        Console().print(f"layers on: {', '.join(layers)}")
    raise typer.Exit(1 if escaped else 0)


async def _rows(cases: "list[Attack]", tick: Callable[[], object]) -> "tuple[list[Row], list[str]]":
    from coderm_slime.sandbox.attacks import Suite, attempt
    from coderm_slime.settings import load_settings

    rows = []
    async with Suite(load_settings().sandbox) as suite:
        for case in cases:
            rows.append(await attempt(suite, case))
            tick()
        return rows, sorted(suite.on)


def _show(rows: "list[Row]") -> None:
    table = Table("case", "outside", "inside", "held?")
    for row in rows:
        broken = "[bold red]NO[/]" if row.promised else "[yellow]not promised without a layer that is off[/]"
        table.add_row(row.name, row.outside, row.inside, "yes" if row.held else broken)
    Console().print(table)
