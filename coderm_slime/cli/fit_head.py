"""`coderm fit-head`."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress

from coderm_slime.cli.root import app
from coderm_slime.errors import CodermError
from coderm_slime.records import PairExample, RecordError, read_jsonl


@app.command("fit-head")
def fit_head(
    model: Annotated[
        Path, typer.Argument(help="Folder of a reward model whose backbone is kept; its head is not read.")
    ],
    pairs_file: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="JSONL with `problem` (or `prompt`), `chosen`, `rejected`.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    dtype: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="Of the backbone's forward passes.")
    ] = "float32",
) -> None:
    """Fit a reward head on pairs while the backbone stays frozen: minutes on a CPU, for trying things out."""
    rows = list(read_jsonl(pairs_file, PairExample))
    bad = [row for row in rows if isinstance(row, RecordError)]
    if bad:  # training on a part of what was meant would pass unseen
        raise CodermError(f"{len(bad)} bad rows, the first: {bad[0]}")
    try:
        from rm_train.head import fit_head as fit
    except ImportError as error:
        raise CodermError(f"coderm fit-head needs the extra 'serve' (torch): {error}") from error
    pairs = [row for row in rows if isinstance(row, PairExample)]
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("reading programs", total=None)
        found = fit(model, pairs, folder, dtype, lambda done, total: bar.update(task, completed=done, total=total))
    typer.echo(
        f"fitted on {found.pairs} pairs of {found.problems} problems, ridge {found.ridge}: orders "
        f"{found.train_accuracy:.3f} of them rightly, {found.held_out_accuracy:.3f} on problems left out; {folder}"
    )
