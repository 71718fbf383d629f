"""`coderm curate run`, and its stages `rewrite`, `calls`, `execute`, `search` as commands of their own."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer
from rich.console import Console

from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError
from coderm_slime.problems import DataSet, Decontaminator, evaluation_problems

if TYPE_CHECKING:
    from mcts.engine.run import Report

_INTERRUPTED = 130
_SOURCE = Annotated[
    Path | None,
    typer.Argument(help="Problems: JSONL, parquet, a folder, hub:ORG/NAME. Left out: those that RUN has already."),
]
_FOLDER = Annotated[Path, typer.Option("--run", help="The run folder; made if absent, gone on with if there.")]
_CONFIG = Annotated[
    Path | None, typer.Option("--config", help="The run's YAML file; left out: the one that the folder began with.")
]
_DATA_SET = Annotated[DataSet | None, typer.Option(help="Left out: told by the fields of the first row.")]
_LIMIT = Annotated[int | None, typer.Option(min=1, help="Take so many problems, the first ones.")]
_AGAINST = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Leave out what shares a phrase with this evaluation set, too; HumanEval, where "
        "its package is installed, is one already. Give it once for each set.",
    ),
]
_DECONTAMINATE = Annotated[bool, typer.Option(help="Leave out problems that an evaluation set holds.")]
_REWRITE = Annotated[
    Literal["on", "off"] | None,
    typer.Option(help="off: the reference solution as it is begins the tree. Left out: as the file says."),
]
_ACCEPT = Annotated[
    bool,
    typer.Option(help="Go on with other addresses, bounds and deadlines than the run began with."),
]
_RAY = Annotated[
    str | None,
    typer.Option(help="Spread the problems over this Ray cluster's nodes: an address, `auto`, or `local`."),
]
_RAY_WORKERS = Annotated[
    int, typer.Option(min=1, help="With --ray: processes, each with an engine of its own and its part of the bounds.")
]


class _Wishes(NamedTuple):
    """What every stage's command can be told."""

    folder: Path
    source: Path | None
    config: Path | None
    data_set: DataSet | None
    limit: int | None
    against: list[Path] | None
    decontaminate: bool
    rewrite: Literal["on", "off"] | None
    accept_changes: bool


@GROUPS["curate"].command("run")
def run(
    folder: _FOLDER,
    source: _SOURCE = None,
    config: _CONFIG = None,
    data_set: _DATA_SET = None,
    limit: _LIMIT = None,
    against: _AGAINST = None,
    decontaminate: _DECONTAMINATE = True,
    rewrite: _REWRITE = None,
    accept_changes: _ACCEPT = False,
    ray: _RAY = None,
    ray_workers: _RAY_WORKERS = 2,
) -> None:
    """Make reward data: rewrite, sample calls, execution, search, export.

    Every result is in RUN/run.sqlite as soon as it is there: a run that was stopped or killed goes on where it was
    when the same command is given again. Ctrl-C lets what is under way end and saves; a second one stops at once.

    The exit code is 0 if every problem ended (with a tree or with a recorded reason), 1 if some are open or ended in
    an unexpected error, 130 after Ctrl-C.
    """
    report = _advance(
        "SEARCH",
        _Wishes(folder, source, config, data_set, limit, against, decontaminate, rewrite, accept_changes),
        ray,
        ray_workers,
    )
    _export(folder, report)
    _end(report)


def _add_stage(stage: str, what: str) -> None:
    """A command that goes no further than `stage`."""

    @GROUPS["curate"].command(stage.lower(), help=what)
    def stop_behind(
        folder: _FOLDER,
        source: _SOURCE = None,
        config: _CONFIG = None,
        data_set: _DATA_SET = None,
        limit: _LIMIT = None,
        against: _AGAINST = None,
        decontaminate: _DECONTAMINATE = True,
        rewrite: _REWRITE = None,
        accept_changes: _ACCEPT = False,
    ) -> None:
        wishes = _Wishes(folder, source, config, data_set, limit, against, decontaminate, rewrite, accept_changes)
        _end(_advance(stage, wishes))


_add_stage("REWRITE", "Only the first step: each solution rewritten with prints.")
_add_stage("CALLS", "Up to the sample calls of each problem.")
_add_stage("EXECUTE", "Up to the run of each first program on its calls.")
_add_stage("SEARCH", "All steps to finished trees, without the export.")


def _advance(stage: str, wishes: _Wishes, ray: str | None = None, ray_workers: int = 2) -> "Report":
    from coderm_slime.cli.curate_progress import show_report, watched
    from coderm_slime.settings import load_settings
    from mcts.engine.cluster import Cluster
    from mcts.engine.course import Stage
    from mcts.engine.folder import config_for
    from mcts.engine.run import Run, Source

    cleaned = None
    if wishes.source and wishes.decontaminate:
        cleaned = Decontaminator.of(evaluation_problems(wishes.against or []))
    changes: dict[str, Any] = {} if wishes.rewrite is None else {"rewrite": wishes.rewrite == "on"}
    run = Run(
        folder=wishes.folder,
        config=config_for(wishes.folder, wishes.config, changes),
        sandbox=load_settings().sandbox,
        until=Stage[stage],
        source=Source(wishes.source, wishes.data_set, wishes.limit, cleaned) if wishes.source else None,
        accept_changes=wishes.accept_changes,
        cluster=Cluster(ray, ray_workers) if ray else None,
    )
    console = Console(stderr=True, soft_wrap=True)
    report = run(lambda tally: watched(tally, console, run.config))
    show_report(report, console)
    return report


def _export(folder: Path, report: "Report") -> None:
    """Data out of the trees, where there are any; takes the place of what an earlier run exported."""
    from mcts.export import ExportConfig, export

    if not report.trees:
        return
    data, fresh = folder / "data", folder / "data.part"
    for left in (fresh, *([data] if (data / "README.md").is_file() else [])):  # never a folder that is not ours
        shutil.rmtree(left, ignore_errors=True)
    counts = export([folder], fresh, ExportConfig())
    fresh.replace(data)
    console = Console(stderr=True, soft_wrap=True)
    console.print(f"data: {counts.scalar.total()} scalar rows, {len(counts.pairs)} pairs: {data}", markup=False)


def _end(report: "Report") -> None:
    from mcts.engine.run import STOPPED_BY_SIGNAL

    if report.stopped == STOPPED_BY_SIGNAL:
        raise typer.Exit(_INTERRUPTED)
    if report.stopped:
        raise CodermError(f"the run stopped: {report.stopped}; what is done is saved, the same command goes on")
    if report.outages:
        raise CodermError(
            f"{report.outages} calls came to nothing, the last one: {report.last_outage}; the problems concerned stay "
            "open, the same command goes on with them"
        )
    if report.states["error"]:
        raise CodermError(
            f"{report.states['error']} problems ended in an unexpected error, see failed.jsonl; the same command "
            "tries them again"
        )
