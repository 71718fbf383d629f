"""`coderm curate export`: search trees as training files."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn

from coderm_slime.cli.root import GROUPS

if TYPE_CHECKING:
    from mcts.export import Counts

_SHOWN = 10  # lines on the screen; the card and the counts name the rest
_stderr = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


@GROUPS["curate"].command("export")
def curate_export(
    trees: Annotated[list[Path], typer.Argument(metavar="TREES...", help="Files of trees, or runs' folders.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="A new folder, or an empty one.")],
    paper: Annotated[bool, typer.Option("--paper", help="The paper's plain data: no filter, cap or balance.")] = False,
    seed: Annotated[int, typer.Option(help="Of the split and of every draw.")] = 0,
    validation: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the problems held out.")] = 0.05,
    near_copy: Annotated[
        float, typer.Option(min=0.01, max=1, help="Overlap of n-grams that keeps two problems on one side.")
    ] = 0.5,
    min_visits: Annotated[int | None, typer.Option(min=1, help="Least N of a row, of each side of a pair.")] = None,
    min_margin: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least difference of a pair's labels.")
    ] = None,
    max_scalar: Annotated[int | None, typer.Option(min=1, help="Most scalar rows of a tree.")] = None,
    max_pairs: Annotated[int | None, typer.Option(min=1, help="Most pairs of a tree.")] = None,
    balance: Annotated[
        bool | None, typer.Option("--balance/--no-balance", help="As many longer winners as shorter ones.")
    ] = None,
) -> None:
    """Write scalar examples and pairs, split into train and validation by problem, with a data card (README.md).

    Rows that are no tree are named and counted; the others are exported. A row's metadata say where it comes from.
    """
    from mcts.export import PAPER, ExportConfig, export

    chosen: dict[str, Any] = {
        "min_visits": min_visits,
        "min_margin": min_margin,
        "max_scalar": max_scalar,
        "max_pairs": max_pairs,
        "balance": balance,
    }
    config = dataclasses.replace(
        PAPER if paper else ExportConfig(),
        seed=seed,
        validation=validation,
        near_copy=near_copy,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    with Progress(TextColumn("{task.completed} trees"), console=_stderr, transient=True) as bar:
        task = bar.add_task("trees", total=None)
        counts = export(trees, out, config, lambda done: bar.update(task, completed=done))
    _report(counts)
    typer.echo(str(out))


def _report(counts: "Counts") -> None:
    for row in counts.bad_rows[:_SHOWN]:
        _stderr.print(f"no tree: {row}")
    if len(counts.bad_rows) > _SHOWN:
        _stderr.print(f"no tree: {len(counts.bad_rows) - _SHOWN} more rows")
    _stderr.print(
        f"{counts.trees} trees of {counts.problems.total()} problems ({counts.problems['validation']} held out): "
        f"{counts.scalar.total()} scalar rows, {len(counts.pairs)} pairs; {counts.unusable.total()} responses "
        f"could not be used, {len(counts.bad_rows)} rows are no tree"
    )
    for what, dropped in (("scalar rows", counts.scalar_dropped), ("pairs", counts.pairs_dropped)):
        for reason, count in dropped.most_common():
            if count:
                _stderr.print(f"  {count} {what} left out: {reason}")
