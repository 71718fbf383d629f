"""`coderm score`: a JSONL file of answers in, their verdicts out, with progress and resume."""

import asyncio
import fcntl
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from coderm_slime.chat import as_response
from coderm_slime.cli.root import app
from coderm_slime.errors import CodermError
from coderm_slime.records import REASONS, Candidate, RecordError, ScoredCandidate, append_jsonl, read_jsonl
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.settings import RmSettings, Thinking, load_settings

_ROWS_SHOWN = 20
_GIVE_UP_AFTER = 8  # answers of which none could be scored: the server is down, or not one
_stderr = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


@app.command()
def score(
    answers: Annotated[
        Path, typer.Argument(help="JSONL with `problem` (or `prompt`), `response` (or `program`), `id` if any.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="JSONL of verdicts; what is in it is not scored again.")],
    url: Annotated[list[str] | None, typer.Option(help="Reward model server; else coderm.rm.urls.")] = None,
    model_path: Annotated[
        str | None, typer.Option(help="Folder of the served model; else coderm.rm.model_path.")
    ] = None,
    in_flight: Annotated[
        int, typer.Option(min=1, help="Answers at a time, whatever rm.max_in_flight says: 4 suit a CPU, 64 a GPU.")
    ] = 4,
) -> None:
    """Score answers with a served reward model.

    Rows that cannot be read or scored are named on stderr and left out of OUT: run again to try them again. The exit
    code is 1 when there are any. One OUT is for one model: the server's weights are not compared.
    """
    given = {"urls": url, "model_path": model_path, "max_in_flight": in_flight}
    settings = load_settings(options={"rm": {key: value for key, value in given.items() if value}}).rm
    candidates, bad_rows = _read(answers)
    outcomes: Counter[str] = Counter()
    with _alone(answers, out):
        try:
            asyncio.run(_score_all(candidates, out, settings, outcomes))
        except KeyboardInterrupt:
            _stderr.print(
                f"interrupted; {outcomes['scored'] + outcomes['floor']} new verdicts are in {out}, run again"
            )
            raise
    summary = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) or "nothing to do"
    done_before = len(candidates) - outcomes.total()
    _stderr.print(f"{summary}; {done_before} were done before; {bad_rows} bad rows; {out}")
    _show(out)
    if bad_rows or outcomes["abstained"]:
        raise typer.Exit(1)


def _read(path: Path) -> tuple[list[Candidate], int]:
    """The file's candidates, each with an id of its own, and the number of rows that are none (they are named)."""
    good, bad = [], 0
    for number, row in enumerate(read_jsonl(path, Candidate), start=1):
        if isinstance(row, RecordError):
            bad += 1
            _stderr.print(str(row), style="yellow")
        else:
            good.append(row if row.id else row.model_copy(update={"id": str(number)}))
    doubled = [id_ for id_, count in Counter(row.id for row in good).items() if count > 1]
    if doubled:
        raise CodermError(f"{path}: {len(doubled)} ids stand on several rows, the first is {doubled[0]!r}")
    return good, bad


@contextmanager
def _alone(answers: Path, out: Path) -> Iterator[None]:
    """Hold `out` for this run: two writers would tear each other's rows."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("ab") as file:
        if out.samefile(answers):
            raise CodermError(f"--out names the answers' own file, {answers}")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CodermError(f"another run is writing {out}; wait for it or name another --out") from None
        yield


@dataclass(frozen=True)
class _Task:
    """One answer as it will be judged; `key` is a hash of all that the verdict depends on, the server apart."""

    id: str
    problem: str
    response: str
    thinking: Thinking
    key: str


def _task_of(candidate: Candidate, settings: RmSettings, fingerprint: str) -> _Task:
    """A bare program is wrapped as a response, and never asked for a thought."""
    response, thinking = candidate.response, settings.thinking
    if response is None:
        response, thinking = as_response(candidate.program or ""), "never"
    basis = [
        fingerprint,
        settings.preset,
        settings.shaping,
        settings.clip,
        settings.thinking,
        candidate.problem,
        response,
    ]
    key = hashlib.sha256(json.dumps(basis).encode()).hexdigest()[:16]
    return _Task(candidate.id, candidate.problem, response, thinking, key)


async def _score_all(candidates: list[Candidate], out: Path, settings: RmSettings, outcomes: Counter[str]) -> None:
    slots = asyncio.Semaphore(settings.max_in_flight)
    async with await Scorer.create(settings) as scorer:

        async def judge(task: _Task) -> ScoredCandidate:
            async with slots:
                verdict = await scorer.judge(task.problem, task.response, thinking=task.thinking)
            return ScoredCandidate(id=task.id, input_key=task.key, verdict=verdict)

        tasks = [_task_of(candidate, settings, scorer.fingerprint) for candidate in candidates]
        waiting = [asyncio.ensure_future(judge(task)) for task in _left_to_do(tasks, out)]
        finished = track(asyncio.as_completed(waiting), "scoring", len(waiting), console=_stderr, disable=not waiting)
        try:
            for row in finished:
                _keep(await row, out, outcomes)
        finally:  # the server's connections close next: nothing may still want one
            for future in waiting:
                future.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


def _keep(row: ScoredCandidate, out: Path, outcomes: Counter[str]) -> None:
    outcomes[row.verdict.outcome.value] += 1
    if row.verdict.score is not None:
        append_jsonl(out, [row])
        return
    _stderr.print(f"{row.id}: {row.verdict.detail}")
    if outcomes["abstained"] >= _GIVE_UP_AFTER and outcomes["abstained"] == outcomes.total():
        remedy = REASONS[row.verdict.reason].remedy
        raise CodermError(
            f"not one of the first {_GIVE_UP_AFTER} answers could be scored, so this run stops: {remedy}"
        )


def _left_to_do(tasks: list[_Task], out: Path) -> list[_Task]:
    done = {row.id: row.input_key for row in _scored(out)}
    for task in tasks:
        if done.get(task.id, task.key) != task.key:
            raise CodermError(
                f"{out} holds a verdict on {task.id!r} that was given to another answer, or under another "
                "tokenizer, template, limit, preset, shaping, clip or thinking rule; name another --out"
            )
    return [task for task in tasks if task.id not in done]


def _scored(out: Path) -> list[ScoredCandidate]:
    """The rows written so far; the torn last row of a killed run counts as not written.

    Raises:
        CodermError: the file holds something else, which appending would spoil.
    """
    rows = list(read_jsonl(out, ScoredCandidate))
    foreign = [row for row in rows if isinstance(row, RecordError) and not row.torn]
    if foreign:
        raise CodermError(f"--out names a file that is no list of verdicts: {foreign[0]}")
    return [row for row in rows if isinstance(row, ScoredCandidate)]


def _show(out: Path) -> None:
    rows = sorted(_scored(out), key=lambda row: row.id)
    table = Table("id", "score", "logit", "tokens", "reason", title=f"{len(rows)} verdicts")
    for row in rows[:_ROWS_SHOWN]:
        verdict = row.verdict
        raw = "" if verdict.raw is None else f"{verdict.raw:.4f}"
        table.add_row(Text(row.id), f"{verdict.score:.4f}", raw, str(verdict.tokens), verdict.reason.value)
    if len(rows) > _ROWS_SHOWN:
        table.caption = f"the first {_ROWS_SHOWN}"
    if rows:
        Console().print(table)
