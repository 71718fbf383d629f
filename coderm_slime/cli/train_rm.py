"""`coderm train-rm`: both stages of the reward model, one command."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from coderm_slime.cli.root import app
from coderm_slime.errors import CodermError

_stderr = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


@app.command("train-rm")
def train_rm(
    config: Annotated[Path, typer.Option(help="two_stage.yaml; what other options name wins over it.")],
    nproc: Annotated[int, typer.Option(min=1, help="Ranks on this machine: one a GPU.")] = 1,
    model: Annotated[Path | None, typer.Option(help="Hugging Face folder to start from.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="A second run with the same one goes on where it stopped.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The folder of the files that the YAML names, or one file that stands for each of them."),
    ] = None,
    train: Annotated[
        list[Path] | None, typer.Option(help="Training rows of both stages, instead of the YAML's.")
    ] = None,
    validation: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="Add or replace a validation set of both stages.")
    ] = None,
    tp: Annotated[int | None, typer.Option(min=1, help="Ranks that share the model.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Time budget of each stage.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print plan and memory, end.")] = False,
) -> None:
    """Train a reward model in two stages (labels, then pairs) on Megatron-core, or go on with a run.

    OUTPUT gets, for each stage, a folder to serve, its figures as JSON and plots; besides, checkpoints, metrics.jsonl
    and TensorBoard's files. Bad rows are counted and left out; data that is not what was meant is refused.
    """
    try:
        from rm_train.config import CONFIG_FILE, load_config, save_config, with_data, with_sets
        from rm_train.data.prepare import prepare
    except ImportError as error:
        raise CodermError(f"coderm train-rm needs the extra 'rm': {error}") from error
    given: dict[str, Any] = {"model": model, "output": output, "tp": tp}
    given |= {f"stages.{name}.time_budget_minutes": minutes for name in ("regression", "ranking")}
    settings = load_config(config, {key: value for key, value in given.items() if value is not None})
    settings = settings if data is None else with_data(settings, data)
    settings = with_sets(settings, train or [], dict(_named(item) for item in validation or []))
    sets = prepare(settings)
    try:
        from rm_train.outlook import outlook
    except ImportError as error:
        raise CodermError(f"coderm train-rm needs the extra 'rm' (torch, megatron-core): {error}") from error
    for line in outlook(settings, sets, nproc):
        _stderr.print(line)
    if dry_run:
        return
    whole = settings.output / CONFIG_FILE
    save_config(settings, whole)
    # This process becomes torchrun: its exit code, signals and output are then the run's own.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={nproc}"]
    sys.stderr.flush()
    os.execv(sys.executable, [*command, "-m", "rm_train", str(whole)])


def _named(item: str) -> tuple[str, Path]:
    name, equals, file = item.partition("=")
    if not (name and equals and file):
        raise typer.BadParameter(f"--validation takes NAME=FILE, not {item!r}")
    return name, Path(file)
