"""The page of one or more trees: problem and calls, the rows, what each rollout did, where the tree comes from."""

import json
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from coderm_slime.records import Evaluation, SearchTree
from coderm_slime.report import Cell, KeyFigure, Section, key_figures, page, paragraph, renderer, table
from mcts.search import decided_by_uct
from mcts.view.layout import rows_of
from mcts.view.node import node_views

_render = renderer(Path(__file__).with_name("templates"))


def tree_page(trees: Sequence[SearchTree], notes: Sequence[str] = ()) -> str:
    """The page, self-contained. A node that is chosen in the rows shows beside them, by CSS alone.

    Args:
        trees: at least one.
        notes: what a reader has to know of the file, such as rows that are missing here.
    """
    alone = len(trees) == 1
    title = f"Search tree of {trees[0].problem.id}" if alone else f"{len(trees)} search trees"
    sections = [] if alone else [Section("Trees", [*map(paragraph, notes), _index(trees)])]
    for number, tree in enumerate(trees):
        name = "" if alone else f"{tree.problem.id}: "
        sections += _sections(tree, number, name, notes if alone else ())
    return page(title, sections, _render("view.css"))


def _index(trees: Sequence[SearchTree]) -> Markup:
    rows: list[list[Cell]] = [
        [
            Markup('<a href="#t{}">{}</a>').format(number, tree.problem.id),
            len(tree.nodes),
            len(tree.selections),
            sum(bool(selection.failure) for selection in tree.selections),
            tree.nodes[0].mean,
        ]
        for number, tree in enumerate(trees)
    ]
    return table(["problem", "nodes", "rollouts", "failed", "root's Q/N"], rows)


def _sections(tree: SearchTree, number: int, name: str, notes: Sequence[str]) -> list[Section]:
    prefix = f"t{number}"
    views = node_views(tree)
    chosen = _best_leaf(tree) if number == 0 else None
    problem = _render("problem.html", prefix=prefix, problem=tree.problem, calls=tree.calls)
    rows = _render("tree.html", prefix=prefix, rows=rows_of(tree), views=views, nodes=tree.nodes, chosen=chosen)
    selections = _render("selections.html", prefix=prefix, selections=tree.selections, evaluations=_by_rollout(tree))
    return [
        Section(f"{name}Problem", [problem]),
        Section(f"{name}Tree", [*map(paragraph, notes), key_figures(_figures(tree)), rows]),
        Section(f"{name}Selections, in order", [selections]),
        Section(f"{name}Provenance", [_provenance(tree)]),
    ]


def _figures(tree: SearchTree) -> list[KeyFigure]:
    leaves = [node for node in tree.nodes if node.response is not None]
    failed = sum(bool(selection.failure) for selection in tree.selections)
    decided = sum(map(decided_by_uct, tree.selections))
    means = [_own_mean(node.evaluations) for node in tree.nodes if node.evaluations]
    return [
        KeyFigure("mean reward", tree.nodes[0].mean, "the root's Q/N"),
        KeyFigure("best response", max(means, default=None), "mean reward"),
        KeyFigure("responses", len(leaves), f"in {len(tree.nodes)} nodes"),
        KeyFigure("rollouts", len(tree.selections), f"{failed} failed"),
        KeyFigure("decided by UCT", decided, "of 2 or more children"),
    ]


def _best_leaf(tree: SearchTree) -> int:
    """The node to begin with: the best response, the earliest of equals; the root where no evaluation is kept."""
    evaluated = [node for node in tree.nodes if node.evaluations]
    return max(evaluated, key=lambda node: _own_mean(node.evaluations), default=tree.nodes[0]).id


def _own_mean(evaluations: Sequence[Evaluation]) -> float:
    return sum(evaluation.reward for evaluation in evaluations) / len(evaluations)


def _by_rollout(tree: SearchTree) -> dict[int, Evaluation]:
    return {evaluation.rollout: evaluation for node in tree.nodes for evaluation in node.evaluations}


def _provenance(tree: SearchTree) -> Markup:
    rows = [("seed", str(tree.seed)), *sorted(tree.provenance.items())]
    rows += [(name, json.dumps(value, ensure_ascii=False)) for name, value in sorted(tree.metadata.items())]
    rows += [
        (f"problem's {name}", json.dumps(value, ensure_ascii=False))
        for name, value in sorted(tree.problem.metadata.items())
    ]
    return table(["what", "value"], rows)
