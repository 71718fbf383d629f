"""How `coderm bench` says medians: one JSON object, or a table for people."""

import json
from collections.abc import Mapping

import typer
from rich.console import Console
from rich.table import Table


def say_medians(figures: Mapping[str, float], rounds: int, title: str, *, as_json: bool) -> None:
    """Print `figures`, medians over `rounds`, on stdout; `title` stands over the table."""
    if as_json:
        typer.echo(json.dumps({name: round(value, 4) for name, value in figures.items()} | {"rounds": rounds}))
        return
    table = Table("figure", "median", title=title)
    for name, value in figures.items():
        table.add_row(name, f"{value:.4g}")
    Console().print(table)
