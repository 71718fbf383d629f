"""The data card: what the files hold, where it comes from, what was left out and by which rule."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mcts.export.balance import longer_wins
from mcts.export.config import ExportConfig
from mcts.export.counts import Counts

_BAR = 40  # characters of the longest bar
_NAMED = 20  # of a list; the count says how many there are


def card(counts: Counts, config: ExportConfig, sources: Sequence[Path]) -> str:
    """The card as Markdown. It holds no date and no place but the sources as they were named."""
    parts = [
        "# Reward data from tree search\n",
        _files(counts),
        _sources(counts, sources),
        _settings(config),
        _dropped(counts),
        _labels(counts),
        _pairs(counts),
        _trees(counts),
    ]
    return "\n".join(parts)


def _files(counts: Counts) -> str:
    rows = [
        [
            side,
            counts.problems[side],
            sum(count for (where, _), count in counts.scalar.items() if where == side),
            sum(facts.side == side for facts in counts.pairs),
        ]
        for side in ("train", "validation")
    ]
    text = """`scalar-*.jsonl`: a problem, a response or its prefix, and the search's Q (`q`) and N (`n`) there;
the label is min(q / n, 1). `pairs-*.jsonl`: two of them, the better one first, with both labels. Each row's `metadata`
name its problem, tree, nodes, seed and what made the tree, and hold a `weight`: n / (n + 1); of a pair the margin
times that of both sides. Both kinds of file share one split by problem.
"""
    return text + "\n" + _table(["side", "problems", "scalar rows", "pairs"], rows)


def _sources(counts: Counts, sources: Sequence[Path]) -> str:
    lines = ["## Where it comes from\n", *(f"- `{source}`" for source in sources), ""]
    lines += [f"{counts.trees} trees; {counts.copies} more were copies of one of them.\n"]
    values = [[name, *_common(found)] for name, found in sorted(counts.provenance.items())]
    lines += [_table(["what made them", "values", "the most common", "trees with it"], values)] if values else []
    if counts.bad_rows:
        lines += [f"{len(counts.bad_rows)} rows are no tree:\n", *_named(counts.bad_rows)]
    if counts.without_rows:
        lines += [f"{len(counts.without_rows)} trees gave no row:\n", *_named(counts.without_rows)]
    lines += [f"{len(counts.near)} pairs of statements say nearly the same; each stands on one side of the split."]
    return "\n".join(lines) + "\n"


def _settings(config: ExportConfig) -> str:
    return "## Settings\n\n" + _table(["setting", "value"], list(dataclasses.asdict(config).items()))


def _dropped(counts: Counts) -> str:
    rows: list[Sequence[object]] = [
        ["responses", "used", counts.responses],
        *(["responses", reason.value, count] for reason, count in counts.unusable.most_common()),
        ["scalar rows", "kept", counts.scalar.total()],
        *(["scalar rows", reason, count] for reason, count in counts.scalar_dropped.most_common() if count),
        ["pairs", "kept", len(counts.pairs)],
        *(["pairs", reason, count] for reason, count in counts.pairs_dropped.most_common() if count),
    ]
    return "## What was left out\n\n" + _table(["of", "why", "count"], rows)


def _labels(counts: Counts) -> str:
    totals: Counter[str] = Counter()
    for (_, kind), count in counts.scalar.items():
        totals[kind] += count
    means = [[kind, count, f"{counts.label_sums[kind] / count:.3f}"] for kind, count in sorted(totals.items())]
    tenths = {_tenth(tenth): counts.labels[tenth] for tenth in range(10)}
    return "\n".join(
        [
            "## Scalar rows\n",
            _table(["text", "rows", "mean label"], means),
            _histogram("label", tenths),
            _histogram("visits N", {str(n): counts.visits[n] for n in sorted(counts.visits)}),
        ]
    )


def _pairs(counts: Counts) -> str:
    before, after = longer_wins(counts.capped), longer_wins(counts.pairs)
    rows = [[group, *_rate(*before[group]), *_rate(*after[group])] for group in before]
    margins = Counter(min(int(facts.margin * 10 + 1e-9), 9) for facts in counts.pairs)
    return "\n".join(
        [
            "## Pairs\n",
            "How often the longer side is the better one, before and after the balance; pairs of the same length "
            "aside. A model that looked at length alone would be right that often.\n",
            _table(["sides", "pairs before", "longer wins", "pairs written", "longer wins"], rows),
            _histogram("difference of the labels", {_tenth(tenth): margins[tenth] for tenth in range(10)}),
        ]
    )


def _trees(counts: Counts) -> str:
    pairs_of_tree = Counter(facts.tree for facts in counts.pairs)
    rows = [
        [what, max(of_tree.values(), default=0), f"{max(of_tree.values(), default=0) / max(1, of_tree.total()):.3f}"]
        for what, of_tree in (("scalar rows", counts.scalar_of_tree), ("pairs", pairs_of_tree))
    ]
    sizes = Counter(10 * (count // 10) for count in counts.scalar_of_tree.values())
    bins = {f"{start}-{start + 9}": sizes[start] for start in sorted(sizes)}
    return "\n".join(
        [
            "## Trees\n",
            _table(["", "most of one tree", "share of all"], rows),
            _histogram("scalar rows of a tree", bins),
        ]
    )


def _common(found: Counter[str]) -> tuple[int, str, int]:
    value, count = min(found.items(), key=lambda item: (-item[1], item[0]))
    return len(found), value, count


def _rate(won: int, all_: int) -> tuple[int, str]:
    return all_, f"{won / all_:.3f}" if all_ else "–"  # noqa: RUF001 - an en dash is meant


def _tenth(tenth: int) -> str:
    return f"{tenth / 10:.1f}-{(tenth + 1) / 10:.1f}"


def _named(items: Sequence[object]) -> list[str]:
    more = [f"- and {len(items) - _NAMED} more"] if len(items) > _NAMED else []
    return [*(f"- {_cell(item)}" for item in items[:_NAMED]), *more, ""]


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(map(_cell, line)) + " |\n" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _histogram(title: str, counts: Mapping[str, int]) -> str:
    most, width = max(counts.values(), default=0), max(map(len, counts), default=0)
    lines = [
        f"{name:>{width}} {'#' * round(_BAR * count / most) if most else ''} {count}" for name, count in counts.items()
    ]
    return "\n".join([f"{title}:\n", "```text", *lines, "```", ""])
