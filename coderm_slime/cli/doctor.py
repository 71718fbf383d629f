"""`coderm doctor`: what is installed, what each missing part disables, and whether our packages are really ours."""

import importlib.util
import platform
from importlib import metadata
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coderm_slime.cli.root import app

OUR_PACKAGES = ("reward", "rollout", "mcts", "rm_train")

# (distribution, a module that only the right one has, what does not work without it). slime's module is a deep one
# because PyPI's `slime` is another project (mixed-effects models).
_PARTS = (
    ("transformers", "transformers", "rendering a prompt: all scoring"),
    ("torch", "torch", "`coderm serve` here, training"),
    ("fastapi", "fastapi", "`coderm serve`"),
    ("sglang", "sglang", "serving on GPUs"),
    ("megatron-core", "megatron.core", "training the reward model"),
    ("trl", "trl", "the TRL path"),
    ("ray", "ray", "slime, curation on several nodes"),
    ("slime", "slime.rollout", "RL with slime"),
)


def version_of(distribution: str, module: str) -> str | None:
    """What version is importable: None if none is, 'no version' for a source tree on PYTHONPATH."""
    try:
        if importlib.util.find_spec(module) is None:
            return None
    except ModuleNotFoundError:  # the module's parent package is missing
        return None
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "no version"


def shadowed() -> dict[str, str]:
    """Our packages that resolve to something else, with the place they resolve to."""
    home = Path(__file__).resolve().parents[2]
    elsewhere = {}
    for package in OUR_PACKAGES:
        spec = importlib.util.find_spec(package)
        place = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if place != home / package:
            elsewhere[package] = str(place or "nowhere")
    return elsewhere


@app.command()
def doctor() -> None:
    """Say what is installed and what each missing part disables; fail if our packages are shadowed."""
    console = Console()
    table = Table("part", "version", "what is disabled", title=f"Python {platform.python_version()}")
    for distribution, module, use in _PARTS:
        found = version_of(distribution, module)
        table.add_row(distribution, found or "[yellow]missing[/]", "" if found else use)
    table.add_row("CUDA", *_cuda())
    console.print(table)
    _say_how_programs_are_isolated(console)
    bad = shadowed()
    for package, place in bad.items():
        console.print(f"[red]`import {package}` finds {place}, not this package: fix PYTHONPATH[/]", soft_wrap=True)
    if bad:
        raise typer.Exit(1)
    console.print("reward, rollout, mcts and rm_train resolve to this package.")


def _say_how_programs_are_isolated(console: Console) -> None:
    """The sandbox's layers. Where it refuses to run, that is said, and is no failure of the rest."""
    from coderm_slime.sandbox import SandboxError, probe_sync
    from coderm_slime.settings import load_settings

    settings = load_settings().sandbox
    try:
        probe = probe_sync(settings)
    except SandboxError as error:
        console.print(f"[red]sandbox: {escape(str(error))}[/]", soft_wrap=True)
        return
    table = Table("layer", "on", "detail", title="sandbox")
    for layer in probe.layers:
        table.add_row(layer.name, "yes" if layer.on else "[yellow]no[/]", escape(layer.detail))
    console.print(table)
    console.print(f"sandbox: {settings.pool_size} workers, {probe.interpreter}", soft_wrap=True)


def _cuda() -> tuple[str, str]:
    if importlib.util.find_spec("torch") is None:
        return "[yellow]unknown[/]", "torch is missing"
    import torch

    if not torch.cuda.is_available():
        return "[yellow]missing[/]", "GPU work; all else runs on a CPU"
    return f"{torch.version.cuda}, {torch.cuda.device_count()} GPU(s)", ""
