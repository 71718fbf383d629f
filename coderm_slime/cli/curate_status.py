"""`coderm curate status`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from coderm_slime.cli.root import GROUPS


@GROUPS["curate"].command("status")
def status(
    folder: Annotated[Path, typer.Option("--run", help="The run folder; a run may work on it meanwhile.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Say how far a run is: problems by state and reason, results by step, tokens and cost."""
    from coderm_slime.cli.curate_progress import show_report
    from mcts.engine.journal import Journal
    from mcts.engine.run import report_of

    with Journal(folder, reading=True) as journal:
        report, outcomes = report_of(journal), journal.outcomes()
    if as_json:
        facts = {"states": report.states, "reasons": report.reasons, "results": outcomes, "spent": report.spent}
        typer.echo(json.dumps(facts))
        return
    console = Console()
    console.print("results: " + (", ".join(f"{count} {step}" for step, count in sorted(outcomes.items())) or "none"))
    show_report(report, console)
