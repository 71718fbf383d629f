"""`coderm score`: a JSONL file of answers in, their verdicts out, with progress and resume."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from coderm_slime.chat import as_response
from coderm_slime.cli.root import app
from coderm_slime.records import Candidate, RecordError, ScoredCandidate, append_jsonl, read_jsonl
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, load_settings

_ROWS_SHOWN = 20


@app.command()
def score(
    answers: Annotated[
        Path, typer.Argument(help="JSONL with `problem` (or `prompt`), `response` (or `program`), `id` if any.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="JSONL of verdicts; rows already in it are not scored again.")
    ],
    url: Annotated[list[str] | None, typer.Option(help="Reward model server; else coderm.rm.urls.")] = None,
    model_path: Annotated[
        str | None, typer.Option(help="Tokenizer of the served model; else coderm.rm.model_path.")
    ] = None,
) -> None:
    """Score answers with a served reward model.

    Rows that cannot be read or scored are named on stderr and left out of OUT: run again to try them again. Exit code
    1 when there are any.
    """
    given = {"urls": url, "model_path": model_path}
    settings = load_settings(options={"rm": {key: value for key, value in given.items() if value}}).rm
    console = Console(stderr=True)
    candidates, bad_rows = _read(answers, console)
    done = {row.id for row in _scored(out)}
    todo = [candidate for candidate in candidates if candidate.id not in done]
    outcomes = asyncio.run(_score_all(todo, out, settings, console))
    summary = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) or "nothing to do"
    console.print(
        f"{summary}; {len(candidates) - len(todo)} were done before; {bad_rows} bad rows; {out}", soft_wrap=True
    )
    Console().print(_table(out))
    if bad_rows or outcomes["abstained"]:
        raise typer.Exit(1)


def _read(path: Path, console: Console) -> tuple[list[Candidate], int]:
    good, bad = [], 0
    for number, row in enumerate(read_jsonl(path, Candidate), start=1):
        if isinstance(row, RecordError):
            bad += 1
            console.print(str(row), style="yellow", markup=False, soft_wrap=True)
        else:
            good.append(row if row.id else row.model_copy(update={"id": str(number)}))
    return good, bad


def _scored(out: Path) -> list[ScoredCandidate]:
    """The rows written so far; a torn last row counts as not written."""
    return (
        [row for row in read_jsonl(out, ScoredCandidate) if isinstance(row, ScoredCandidate)] if out.exists() else []
    )


def _table(out: Path) -> Table:
    rows = sorted(_scored(out), key=lambda row: row.id)
    table = Table("id", "score", "logit", "tokens", "reason", title=f"{len(rows)} verdicts")
    for row in rows[:_ROWS_SHOWN]:
        verdict = row.verdict
        raw = "" if verdict.raw is None else f"{verdict.raw:.4f}"
        table.add_row(row.id, f"{verdict.score:.4f}", raw, str(verdict.tokens), verdict.reason.value)
    if len(rows) > _ROWS_SHOWN:
        table.caption = f"the first {_ROWS_SHOWN}"
    return table


def _response_of(candidate: Candidate) -> str:
    return candidate.response if candidate.response is not None else as_response(candidate.program or "")


async def _score_all(todo: list[Candidate], out: Path, settings: RmSettings, console: Console) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    slots = asyncio.Semaphore(settings.max_in_flight)
    if not todo:
        return outcomes
    async with await Scorer.create(settings) as scorer:

        async def judge(candidate: Candidate) -> ScoredCandidate:
            async with slots:
                verdict = await scorer.judge(candidate.problem, _response_of(candidate))
            return ScoredCandidate(id=candidate.id, verdict=verdict)

        waiting = [asyncio.ensure_future(judge(candidate)) for candidate in todo]
        for finished in track(asyncio.as_completed(waiting), "scoring", len(waiting), console=console):
            row = await finished
            outcomes[row.verdict.outcome.value] += 1
            if row.verdict.score is None:
                console.print(
                    f"{row.id}: {row.verdict.reason.value}: {row.verdict.detail}", markup=False, soft_wrap=True
                )
            else:
                append_jsonl(out, [row])
    return outcomes
