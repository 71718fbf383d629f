"""The rows of a tree, top down. A chain of only children keeps its indentation; children that compete go one deeper.

So a path of thirty steps is a column of rows, and depth on the page is the number of decisions on the way.
"""

from dataclasses import dataclass

from coderm_slime.records import SearchTree


@dataclass
class Row:
    """A node's row.

    Attributes:
        level: indentation, the branching nodes above it.
        folds: rows that can be folded away under this one; only a branch's first row folds.
        first: whether a branch begins here.
        closes: branches that end behind this row.
    """

    node: int
    level: int
    folds: int = 0
    first: bool = False
    closes: int = 0


def children_of(tree: SearchTree) -> list[list[int]]:
    """The children of each node, by its id, in the order of their making."""
    children: list[list[int]] = [[] for _ in tree.nodes]
    for node in tree.nodes:
        if node.parent is not None:
            children[node.parent].append(node.id)
    return children


def path_to(tree: SearchTree, node: int) -> list[int]:
    """The ids of the nodes from the root to `node`, both included."""
    return [one.id for one in tree.path_to(node)]


def rows_of(tree: SearchTree) -> list[Row]:
    """A row for each node. By a stack: a tree may be deeper than Python calls may nest."""
    children, below = children_of(tree), _nodes_below(tree)
    rows: list[Row] = []
    waiting: list[tuple[int, int] | None] = [(0, 0)]  # first node and level of a branch; None where one ends
    while waiting:
        branch = waiting.pop()
        if branch is None:
            rows[-1].closes += 1
            continue
        chain, level = _only_children(branch[0], children), branch[1]
        rows += [Row(node, level) for node in chain]
        head = rows[-len(chain)]
        head.first, head.folds = True, below[head.node]
        waiting.append(None)
        waiting += [(child, level + 1) for child in reversed(children[chain[-1]])]
    return rows


def _only_children(node: int, children: list[list[int]]) -> list[int]:
    chain = [node]
    while len(children[chain[-1]]) == 1:
        chain += children[chain[-1]]
    return chain


def _nodes_below(tree: SearchTree) -> list[int]:
    below = [0] * len(tree.nodes)
    for node in reversed(tree.nodes):
        if node.parent is not None:
            below[node.parent] += below[node.id] + 1
    return below
