"""`coderm data mutants`: right programs over small edits of them that fail their own tests."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError
from coderm_slime.problems import LeftOut, read_problems
from coderm_slime.records import PairExample, Problem, RecordError, append_jsonl, held_for_writing, written_rows
from coderm_slime.settings import Settings, load_settings

_stderr = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


@GROUPS["data"].command("mutants")
def data_mutants(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Problems with solutions and tests; any data set.")],
    out: Annotated[Path, typer.Argument(help="JSONL of pairs; a second run goes on from what is there.")],
    per_problem: Annotated[int, typer.Option(min=1, help="Edits tried for each problem.")] = 8,
    seed: Annotated[int, typer.Option(help="Which edits.")] = 0,
) -> None:
    """Write pairs of a right program and a small edit of it whose own tests fail, both run in the sandbox.

    Layout is kept. Each pair's metadata names the kind of edit, and whether NameError alone gives it away. What the
    tests do not notice is left out and counted. A model can tell such edits by their oddness: compare with the floors
    of `coderm eval pairs`.
    """
    problems = [row for row in read_problems(source) if not isinstance(row, LeftOut)]
    if not problems:
        raise CodermError(f"{source} holds no problem that can be read: see `coderm data problems`")
    with held_for_writing(out):
        done = _problems_in(out)
        left = [problem for problem in problems if problem.id not in done]
        if len(left) < len(problems):
            _stderr.print(f"{len(problems) - len(left)} problems are in {out} already")
        asyncio.run(_write(left, out, per_problem, seed, load_settings()))


def _problems_in(out: Path) -> set[str]:
    try:
        return {row.metadata.get("id", "") for row in written_rows(out, PairExample)}
    except RecordError as error:
        raise CodermError(f"{out} holds something else: {error}") from error


async def _write(problems: list[Problem], out: Path, per_problem: int, seed: int, settings: Settings) -> None:
    from coderm_slime.mutate.verified import Mutants, mutants_of
    from coderm_slime.sandbox import Sandbox

    async with Sandbox(settings.sandbox) as sandbox:
        mutants = Mutants(sandbox, per_problem, seed)
        with Progress(console=_stderr) as bar:
            task = bar.add_task("problems", total=len(problems))
            async for pairs in mutants_of(problems, mutants):
                append_jsonl(out, pairs)
                bar.update(task, advance=1)
    for fate, count in mutants.fates.most_common():
        _stderr.print(f"{count} {fate.value}")
    for kind, count in mutants.kinds.most_common():
        _stderr.print(f"  {count} by a changed {kind}")
    _stderr.print(f"{mutants.name_errors} mutants are given away by NameError alone")
    typer.echo(str(out))
