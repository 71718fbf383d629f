"""`coderm eval pairs`: does the reward model prefer the right program?"""

import asyncio
import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from coderm_slime.cli.root import GROUPS
from coderm_slime.cli.score import score_into
from coderm_slime.errors import CodermError
from coderm_slime.records import PairExample, RecordError, held_for_writing, read_jsonl
from coderm_slime.scoring.score_file import ScoreFile
from coderm_slime.scoring.standin import standin
from coderm_slime.settings import RmSettings, load_settings

_stderr = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
_Dtype = Literal["float32", "bfloat16"]


@GROUPS["eval"].command("pairs")
def eval_pairs(
    model_or_url: Annotated[
        str, typer.Argument(metavar="MODEL_OR_URL", help="A reward model's folder, or the address of its server.")
    ],
    pairs_file: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="JSONL with `problem` (or `prompt`), `chosen`, `rejected`.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    model_path: Annotated[
        str | None, typer.Option(help="With an address: the served model's folder; else coderm.rm.model_path.")
    ] = None,
    dtype: Annotated[_Dtype, typer.Option(help="Of a model given as a folder.")] = "float32",
    likelihood: Annotated[
        Path | None, typer.Option(help="Folder of a language model, best the untrained backbone: the floor to beat.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Keep the verdicts here; what is in it is not scored again.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Also write an HTML page here.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many pairs, drawn with a fixed seed.")] = None,
    in_flight: Annotated[int, typer.Option(min=1, help="Answers at a time: 8 suit a CPU, 64 a GPU.")] = 8,
) -> None:
    """Pair accuracy with its interval by problem, beside the floors of length, token n-grams and likelihood.

    A model's folder is served by the CPU stand-in for the time being. Sides are compared by bare logits. A pair with a
    side that could not be scored is left out and counted; the exit code is then 1. Bad rows are named and left out.
    """
    pairs, bad_rows = _read(pairs_file, sample)
    _check_floors(pairs, likelihood, dtype)
    with tempfile.TemporaryDirectory() as scratch:
        verdicts = ScoreFile(scores or Path(scratch) / "verdicts.jsonl")
        with held_for_writing(verdicts.path), _served(model_or_url, model_path, dtype) as (url, folder):
            given = {"urls": [url], "model_path": folder, "max_in_flight": in_flight, "preset": "paper"}
            settings = load_settings(options={"rm": {key: value for key, value in given.items() if value}}).rm
            failed = _score(verdicts, pairs, settings)
        found, logits = _evaluated(pairs, verdicts, likelihood, dtype)
    model = _name(model_or_url, settings.model_path)
    if report is not None:
        from coderm_slime.evaluation.page import pairs_page
        from coderm_slime.report import write_page

        write_page(report, pairs_page(model, pairs_file.name, found, pairs, logits, _notes(likelihood)))
        _stderr.print(f"report: {report}")
    if as_json:
        typer.echo(json.dumps({"model": model, **found.model_dump(mode="json"), "bad_rows": bad_rows}))
    else:
        _show(model, found)
    if failed or bad_rows:
        raise typer.Exit(1)


def _read(path: Path, sample: int | None) -> tuple[list[PairExample], int]:
    good, bad = [], 0
    for row in read_jsonl(path, PairExample):
        if isinstance(row, RecordError):
            bad += 1
            _stderr.print(str(row), style="yellow")
        else:
            good.append(row)
    if not good:
        raise CodermError(f"{path} holds no pair that can be read")
    if sample is not None and sample < len(good):
        good = random.Random(0).sample(good, sample)
    return good, bad


def _check_floors(pairs: list[PairExample], likelihood: Path | None, dtype: str) -> None:
    """What the floors need is tried first: an hour of scoring must not end in a package that is missing."""
    from coderm_slime.metrics import require_scikit_learn
    from coderm_slime.scoring.weights import architecture_in, read_config

    if len({pair.key for pair in pairs}) > 1:
        require_scikit_learn()
    if likelihood is None:
        return
    architecture = architecture_in(read_config(likelihood))
    if not architecture.endswith("ForCausalLM"):
        raise CodermError(f"--likelihood {likelihood} is a {architecture}; a language model is a …ForCausalLM")
    _stderr.print(f"trying {likelihood}, for the likelihood floor ...")
    with standin(likelihood, dtype):
        pass


@contextmanager
def _served(model_or_url: str, model_path: str | None, dtype: str) -> Iterator[tuple[str, str | None]]:
    """Address and folder of the model; of a folder, of a server of its own."""
    if model_or_url.startswith(("http://", "https://")):
        yield model_or_url, model_path
        return
    if model_path is not None:
        raise CodermError("--model-path goes with an address; a folder is its own")
    _stderr.print(f"serving {model_or_url} on this machine ...")
    with standin(Path(model_or_url), dtype) as url:
        yield url, model_or_url


def _score(verdicts: ScoreFile, pairs: list[PairExample], settings: RmSettings) -> int:
    from coderm_slime.evaluation.pairs import candidates_of

    outcomes = score_into(verdicts, candidates_of(pairs), settings)
    return outcomes["abstained"]


def _evaluated(pairs: list[PairExample], verdicts: ScoreFile, likelihood: Path | None, dtype: str) -> tuple[Any, Any]:
    from coderm_slime.evaluation.pairs import evaluate, logits_of

    logits = logits_of(pairs, verdicts.rows())
    return evaluate(pairs, logits, _likelihoods(likelihood, pairs, dtype) if likelihood else None), logits


def _likelihoods(model: Path, pairs: list[PairExample], dtype: str) -> Any:
    from coderm_slime.evaluation.likelihood import pair_likelihoods

    _stderr.print(f"serving {model} on this machine, for the likelihood floor ...")
    with standin(model, dtype) as url, Progress(console=_stderr) as bar:
        task = bar.add_task("likelihood", total=None)
        return asyncio.run(pair_likelihoods(url, model, pairs, lambda total: bar.update(task, advance=1, total=total)))


def _name(model_or_url: str, model_path: str | None) -> str:
    """The model's folder by its own name: where it lies, or what port serves it, is nobody's business in a report."""
    folder = model_path if "://" in model_or_url else model_or_url
    return Path(folder).resolve().name if folder else model_or_url


def _notes(likelihood: Path | None) -> list[str]:
    known = "Accuracy says little by itself: compare it with the rules below, which never read the problem."
    if likelihood is None:
        return [
            known,
            "The likelihood of an untrained language model, the floor that is hardest to beat, was not measured.",
        ]
    return [known]


def _show(model: str, found: Any) -> None:
    from coderm_slime.evaluation.page import FLOOR_MEANINGS

    title = f"{found.pairs} pairs of {found.problems} problems; {found.abstained} pairs not scored"
    table = Table("who decides", "accuracy", "95 % interval", title=title)
    rows = [(model, found), *((FLOOR_MEANINGS[name], floor) for name, floor in found.floors.items())]
    for label, row in rows:
        between = f"{row.interval.low:.3f} to {row.interval.high:.3f}" if row.interval else ""
        table.add_row(label, "" if row.accuracy is None else f"{row.accuracy:.3f}", between)
    Console().print(table)
