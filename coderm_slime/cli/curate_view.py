"""`coderm curate view`: finished search trees as one page for a browser."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from coderm_slime.cli.root import GROUPS
from coderm_slime.errors import CodermError
from coderm_slime.records import RecordError, SearchTree, read_jsonl

_stderr = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
_MOST_TREES = 100  # on a page; a tree is about 100 kB of it
_NAMED = 5  # problems that an error names


@GROUPS["curate"].command("view")
def curate_view(
    files: Annotated[list[Path], typer.Argument(metavar="TREES...", help="JSONL of trees, such as RUN/trees.jsonl.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page; an older one is replaced.")],
    problem: Annotated[str | None, typer.Option(metavar="ID", help="Only the trees of this problem.")] = None,
) -> None:
    """Write trees as one self-contained HTML page: values, visits, code, output, the judge's words, selections.

    Of more than 100 trees the first are shown; `--problem` picks others. Bad rows are named and left out; the exit
    code is then 1.
    """
    trees, notes, bad_rows = _read(files, problem)

    from coderm_slime.report import write_page
    from mcts.view import tree_page

    write_page(out, tree_page(trees, notes))
    for note in notes:
        _stderr.print(note, style="yellow")
    typer.echo(f"{len(trees)} {'tree' if len(trees) == 1 else 'trees'}: {out}")
    if bad_rows:
        raise typer.Exit(1)


def _read(files: list[Path], problem: str | None) -> tuple[list[SearchTree], list[str], int]:
    """The trees to show, what has to be said of the others, and the number of bad rows."""
    trees: list[SearchTree] = []
    others: list[str] = []
    found = bad = 0
    for row in (row for file in files for row in read_jsonl(file, SearchTree)):
        if isinstance(row, RecordError):
            bad += 1
            _stderr.print(str(row), style="yellow")
        elif problem is not None and row.problem.id != problem:
            others.append(row.problem.id)
        else:
            found += 1
            trees += [row] if found <= _MOST_TREES else []
    if not trees:
        raise CodermError(_nothing(files, problem, others, bad))
    notes = [f"{bad} rows could not be read and are missing here"] if bad else []
    if found > _MOST_TREES:
        notes.append(f"{_MOST_TREES} of {found} trees are shown; --problem ID picks one")
    return trees, notes, bad


def _nothing(files: list[Path], problem: str | None, others: list[str], bad: int) -> str:
    where = f"no tree that can be read in {', '.join(map(str, files))}"
    bad_rows = f" ({bad} bad rows)" if bad else ""
    if problem is None:
        return f"{where}{bad_rows}; a run writes them to RUN/trees.jsonl"
    there = ", ".join(dict.fromkeys(others[:_NAMED])) or "none"
    more = ", …" if len(others) > _NAMED else ""
    return f"{where} is of problem {problem}{bad_rows}; there are: {there}{more}"
