"""A search's tree as the record that files, viewer and export share."""

from collections.abc import Iterable, Mapping

from coderm_slime.records import Problem, SearchTree, Selection, TreeNode
from mcts.search.tree import Node, Tree


def tree_record(
    tree: Tree, selections: Iterable[Selection], problem: Problem, seed: int, calls: str, provenance: Mapping[str, str]
) -> SearchTree:
    """`tree` with what has been applied to it so far."""
    return SearchTree(
        problem=problem,
        seed=seed,
        calls=calls,
        selections=tuple(selections),
        provenance=dict(provenance),
        nodes=tuple(_node_record(node) for node in tree.nodes),
    )


def _node_record(node: Node) -> TreeNode:
    return TreeNode(
        id=node.id,
        parent=node.parent.id if node.parent else None,
        depth=node.depth,
        segment=node.segment,
        visits=node.visits,
        value=node.value,
        terminal_visits=len(node.evaluations),
        response=node.program.response if node.program else None,
        cuts=node.program.cuts if node.program else (),
        evaluations=tuple(node.evaluations),
    )
