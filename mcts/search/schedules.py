"""Where the next rollout goes. A schedule sees the tree with all rollouts under way and changes nothing in it.

`paper` (method step 7; where it is silent, this is our reading):

1. Rollout 0 is the initial path. Then each of its nodes but the root and the last is expanded once, first to last,
   whatever branches it has left.
2. Then the root, until its children, its failed expansions and its expansions under way are `max_branches`.
3. Then from the root down: a node without children is terminal and is evaluated again; a node with branches left is
   expanded; else UCT picks the child. A node where a response ends and others go on is descended into.

Every node has `max_branches` branches. An expansion that succeeds (the initial path, too) uses one branch of each node
on its path from the root to the last but the leaf; one that fails uses one of the expanded node alone.

`uct`: from the root down at once. A node may widen while its children, failed expansions and expansions under way are
fewer than min(max_branches, 1 + floor(sqrt(N))), and is then expanded; else as in 3.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from coderm_slime.records import Choice, Rule
from mcts.config import SearchConfig
from mcts.search.tree import Node, Tree
from mcts.search.uct import choose


@dataclass(frozen=True)
class Place:
    """The node that a rollout goes to, and why; without children it is evaluated again, else expanded."""

    node: Node
    rule: Rule
    choices: tuple[Choice, ...] = ()


class PaperSchedule:
    """The published order. `initial` is the last node of the initial path."""

    def __init__(self, config: SearchConfig, initial: Node) -> None:
        self._config = config
        self._first_pass = [node for node in reversed(list(initial.line())) if node.parent and node is not initial]

    def next(self, tree: Tree) -> Place:
        if self._first_pass:
            return Place(self._first_pass.pop(0), "first_pass")
        if _attempts(tree.root) < self._config.max_branches:
            return Place(tree.root, "root")
        return _descend(tree.root, self._config.exploration, self._has_spare_branch, "spare_branch")

    def _has_spare_branch(self, node: Node) -> bool:
        return node.used < self._config.max_branches


class UctSchedule:
    """Selection from the first rollout on, with progressive widening."""

    def __init__(self, config: SearchConfig, initial: Node) -> None:
        self._config = config

    def next(self, tree: Tree) -> Place:
        return _descend(tree.root, self._config.exploration, self._may_widen, "widening")

    def _may_widen(self, node: Node) -> bool:
        width = 1 + math.isqrt(node.visits + node.visiting)
        return _attempts(node) < min(self._config.max_branches, width)


def _attempts(node: Node) -> int:
    return len(node.children) + node.failed + node.expanding


def _descend(node: Node, exploration: float, expands: Callable[[Node], bool], rule: Rule) -> Place:
    choices: list[Choice] = []
    while node.children and not expands(node):
        node, choice = choose(node, exploration)
        choices.append(choice)
    return Place(node, rule if node.children else "uct", tuple(choices))
