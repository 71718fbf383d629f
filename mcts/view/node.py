"""What the page says of one node: numbers, path, text, evaluations at or below it, expansions of it."""

from dataclasses import dataclass

from coderm_slime.records import Evaluation, SearchTree, Selection, TreeNode
from mcts.view.code import PathText, path_text
from mcts.view.layout import children_of, path_to

_SUMMARY_CHARS = 160  # a row shows one line; what does not fit is cut by the browser


@dataclass(frozen=True)
class Passed:
    """An evaluation that was backed up through a node, and the node where its response ends."""

    leaf: int
    evaluation: Evaluation


@dataclass(frozen=True)
class NodeView:
    """One node as it is shown.

    Attributes:
        mean: Q/N; None of a node that was never evaluated.
        path: node ids from the root to this one.
        summary: the step's first line that says something, and how many lines follow it.
        passed: evaluations at or below this node, by rollout, where the file keeps them.
        expansions: selections that expanded this very node.
    """

    node: TreeNode
    mean: float | None
    path: list[int]
    children: list[int]
    summary: str
    more_lines: int
    text: PathText
    passed: list[Passed]
    expansions: list[Selection]


def node_views(tree: SearchTree) -> list[NodeView]:
    """A view of each node, by its id."""
    children, below = children_of(tree), _below(tree)
    return [_view(tree, node, children[node.id], below[node.id]) for node in tree.nodes]


def _view(tree: SearchTree, node: TreeNode, children: list[int], below: list[TreeNode]) -> NodeView:
    path = path_to(tree, node.id)
    passed = [Passed(leaf.id, evaluation) for leaf in (node, *below) for evaluation in leaf.evaluations]
    summary, more_lines = _summary(node.segment)
    return NodeView(
        node=node,
        mean=node.mean,
        path=path,
        children=children,
        summary=summary,
        more_lines=more_lines,
        text=path_text(tree, path, below),
        passed=sorted(passed, key=lambda one: one.evaluation.rollout),
        expansions=[one for one in tree.selections if one.action != "evaluate" and one.node == node.id],
    )


def _below(tree: SearchTree) -> list[list[TreeNode]]:
    """The nodes under each node, in the order of their making."""
    below: list[list[TreeNode]] = [[] for _ in tree.nodes]
    for node in tree.nodes:
        for above in path_to(tree, node.id)[:-1]:
            below[above].append(node)
    return below


def _summary(segment: str) -> tuple[str, int]:
    lines = [line for line in segment.split("\n") if line.strip()]
    if not lines:
        return "", 0
    first = next((line for line in lines if not line.lstrip().startswith("#")), lines[0])
    return first.strip()[:_SUMMARY_CHARS], len(lines) - 1
