"""From files of trees to a folder of training files, which is there whole or not at all."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from coderm_slime.errors import CodermError
from coderm_slime.records import PairExample, ScalarExample, SearchTree
from mcts.export.balance import balanced, facts_of
from mcts.export.card import card
from mcts.export.completions import completions
from mcts.export.config import ExportConfig
from mcts.export.counts import Counts
from mcts.export.examples import pair_examples, scalar_examples
from mcts.export.limits import kept_pairs, kept_scalar
from mcts.export.split import Split, split
from mcts.export.trees import BadRow, Copy, read_trees, tree_files

SIDES = ("train", "validation")
CARD = "README.md"


def export(
    sources: Sequence[Path], folder: Path, config: ExportConfig, seen: Callable[[int], None] = lambda trees: None
) -> Counts:
    """Write `scalar-{train,validation}.jsonl`, `pairs-{train,validation}.jsonl` and the card to `folder`.

    The trees are read twice, so that only their statements and counts are in memory. The same trees, settings and seed
    give the same bytes.

    Args:
        sources: files of trees, or runs' folders.
        seen: called with how many trees are done.

    Raises:
        CodermError: a source is missing, there is no good tree in them, or `folder` holds something.
    """
    files = tree_files(sources)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CodermError(f"{folder} exists and is no empty folder; nothing there is overwritten, name another")
    counts = Counts()
    sides = _split(files, config, counts)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        draft = Path(scratch) / "data"
        draft.mkdir()
        candidates = Path(scratch) / "pairs.jsonl"
        _write_trees(files, draft, candidates, config, sides, counts, seen)
        _write_pairs(candidates, draft, config, counts)
        (draft / CARD).write_text(card(counts, config, sources), encoding="utf-8")
        draft.replace(folder)
    return counts


def _split(files: Sequence[Path], config: ExportConfig, counts: Counts) -> Split:
    statements = {}
    for row in read_trees(files):
        if isinstance(row, BadRow):
            counts.bad_rows.append(row)
        elif isinstance(row, Copy):
            counts.copies += 1
        else:
            counts.add_tree(row)
            statements[row.problem.key] = row.problem.problem
    if not statements:
        named = "".join(f"\n  {row}" for row in counts.bad_rows[:10])
        raise CodermError(f"there is no search tree in {', '.join(map(str, files))}{named}")
    sides = split(statements, config)
    counts.near = sides.near
    counts.problems.update(map(sides.side, statements))
    return sides


def _write_trees(
    files: Sequence[Path],
    draft: Path,
    candidates: Path,
    config: ExportConfig,
    sides: Split,
    counts: Counts,
    seen: Callable[[int], None],
) -> None:
    """All scalar rows to their files, and all pairs that wait for the balance to `candidates`."""
    with ExitStack() as open_files:
        scalar_files = {side: open_files.enter_context(_new(draft / f"scalar-{side}.jsonl")) for side in SIDES}
        pair_file = open_files.enter_context(_new(candidates))
        for number, tree in enumerate((row for row in read_trees(files) if isinstance(row, SearchTree)), start=1):
            side = sides.side(tree.problem.key)
            scalar, pairs = _rows_of(tree, config, counts)
            for row in scalar:
                scalar_files[side].write(row.model_dump_json() + "\n")
                counts.add_scalar(row, side)
            for pair in pairs:
                pair_file.write(pair.model_dump_json() + "\n")
                counts.capped.append(facts_of(pair, side))
            if not scalar and not pairs:
                counts.without_rows.append(tree.problem.id)
            seen(number)


def _rows_of(tree: SearchTree, config: ExportConfig, counts: Counts) -> tuple[list[ScalarExample], list[PairExample]]:
    responses = completions(tree, counts.unusable)
    counts.responses += len(responses)
    scalar = list(scalar_examples(tree, responses, whole_leaves=config.whole_leaves))
    pairs = list(pair_examples(tree, responses))
    return kept_scalar(scalar, config, counts.scalar_dropped), kept_pairs(pairs, config, counts.pairs_dropped)


def _write_pairs(candidates: Path, draft: Path, config: ExportConfig, counts: Counts) -> None:
    kept = balanced(counts.capped, config.seed) if config.balance else set(range(len(counts.capped)))
    with ExitStack() as open_files:
        pair_files = {side: open_files.enter_context(_new(draft / f"pairs-{side}.jsonl")) for side in SIDES}
        rows = open_files.enter_context(candidates.open(encoding="utf-8", newline="\n"))
        for position, (line, facts) in enumerate(zip(rows, counts.capped, strict=True)):
            if position in kept:
                pair_files[facts.side].write(line)
                counts.pairs.append(facts)
    counts.pairs_dropped["the longer side wins too often, or too seldom"] += len(counts.capped) - len(kept)


def _new(path: Path) -> TextIO:
    return path.open("x", encoding="utf-8", newline="\n")
