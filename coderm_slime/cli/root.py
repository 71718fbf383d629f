"""The root command and the groups that several packages share."""

from typing import Annotated

import typer

from coderm_slime import __version__

app = typer.Typer(
    name="coderm",
    help="CodeRM-NT for slime: a code reward without unit tests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals may hold a bearer token
)

GROUPS = {
    "bench": typer.Typer(help="Measure a part on this machine.", no_args_is_help=True),
    "curate": typer.Typer(help="Make reward data by tree search.", no_args_is_help=True),
    "data": typer.Typer(help="Prepare problems, models and data.", no_args_is_help=True),
    "eval": typer.Typer(help="Evaluate a reward model or a policy.", no_args_is_help=True),
    "sandbox": typer.Typer(help="Run untrusted programs, and attack what runs them.", no_args_is_help=True),
}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"coderm-slime {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    pass
