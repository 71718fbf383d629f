"""`coderm score`: a JSONL file of answers, or files with one each, in; their verdicts out; progress and resume."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from coderm_slime.cli.root import app
from coderm_slime.errors import CodermError
from coderm_slime.records import Candidate, ScoredCandidate, held_for_writing
from coderm_slime.scoring.answer_files import answer_files, read_answers
from coderm_slime.scoring.score_file import ScoreFile
from coderm_slime.settings import RmSettings, load_settings

_ROWS_SHOWN = 20
_stderr = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


@app.command()
def score(
    answers: Annotated[
        list[Path],
        typer.Argument(
            help="JSONL with `problem` (or `prompt`), `response` (or `program`), `id` if any. Or files, or folders of "
            "them: .py (a bare program), .md and .txt (a response as generated)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSONL of verdicts; what is in it is not scored again.")],
    url: Annotated[list[str] | None, typer.Option(help="Reward model server; else coderm.rm.urls.")] = None,
    model_path: Annotated[
        str | None, typer.Option(help="Folder of the served model; else coderm.rm.model_path.")
    ] = None,
    problem: Annotated[
        Path | None, typer.Option(help="With files: the file with the problem's statement; ids are the files' names.")
    ] = None,
    in_flight: Annotated[
        int, typer.Option(min=1, help="Answers at a time, whatever rm.max_in_flight says: 4 suit a CPU, 64 a GPU.")
    ] = 4,
) -> None:
    """Score answers with a served reward model.

    Rows and files that cannot be read or scored are named on stderr and left out of OUT: run again to try them again.
    The exit code is 1 when there are any. One OUT is for one model: the server's weights are not compared.
    """
    given = {"urls": url, "model_path": model_path, "max_in_flight": in_flight}
    settings = load_settings(options={"rm": {key: value for key, value in given.items() if value}}).rm
    files = answer_files(answers, problem)
    candidates, bad_rows = _read(files, problem)
    if out.exists() and any(out.samefile(file) for file in files):
        raise CodermError(f"--out names the answers' own file, {out}")
    verdicts = ScoreFile(out)
    with held_for_writing(out):
        outcomes = score_into(verdicts, candidates, settings)
    summary = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) or "nothing to do"
    done_before = len(candidates) - outcomes.total()
    _stderr.print(f"{summary}; {done_before} were done before; {bad_rows} bad rows; {out}")
    _show(verdicts.rows())
    if bad_rows or outcomes["abstained"]:
        raise typer.Exit(1)


def score_into(verdicts: ScoreFile, candidates: list[Candidate], settings: RmSettings) -> Counter[str]:
    """Score what is missing, with a progress bar; name on stderr what could not be. The new verdicts by outcome."""
    outcomes: Counter[str] = Counter()
    with Progress(console=_stderr) as bar:
        task = bar.add_task("scoring", total=None, visible=False)

        def seen(row: ScoredCandidate, total: int) -> None:
            outcomes[row.verdict.outcome.value] += 1
            bar.update(task, advance=1, total=total, visible=True)
            if row.verdict.score is None:
                _stderr.print(f"{row.id}: {row.verdict.detail}")

        try:
            asyncio.run(verdicts.fill(candidates, settings, seen))
        except KeyboardInterrupt:
            done = outcomes["scored"] + outcomes["floor"]
            _stderr.print(f"interrupted; {done} new verdicts are in {verdicts.path}, run again")
            raise
    return outcomes


def _read(files: list[Path], problem: Path | None) -> tuple[list[Candidate], int]:
    """The candidates, each with an id of its own, and the number of rows and files that are none (they are named)."""
    good, bad = [], 0
    for number, row in enumerate(read_answers(files, problem), start=1):
        if isinstance(row, CodermError):
            bad += 1
            _stderr.print(str(row), style="yellow")
        else:
            good.append(row if row.id else row.model_copy(update={"id": str(number)}))
    doubled = [id_ for id_, count in Counter(row.id for row in good).items() if count > 1]
    if doubled:
        raise CodermError(f"{len(doubled)} ids stand on several rows or files, the first is {doubled[0]!r}")
    return good, bad


def _show(rows: list[ScoredCandidate]) -> None:
    rows.sort(key=lambda row: row.id)
    table = Table("id", "score", "logit", "tokens", "reason", title=f"{len(rows)} verdicts")
    for row in rows[:_ROWS_SHOWN]:
        verdict = row.verdict
        raw = "" if verdict.raw is None else f"{verdict.raw:.4f}"
        table.add_row(Text(row.id), f"{verdict.score:.4f}", raw, str(verdict.tokens), verdict.reason.value)
    if len(rows) > _ROWS_SHOWN:
        table.caption = f"the first {_ROWS_SHOWN}"
    if rows:
        Console().print(table)
