"""The tree that a search grows: nodes, where a program merges with them, and back-up."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from coderm_slime.pycode import Program
from coderm_slime.records import Evaluation


@dataclass(eq=False)
class Node:
    """One step of code below its parent's prefix.

    Attributes:
        children: by the step's comment-free form, in the order of their making.
        visits, value: N and Q.
        used: branches that expansions have used up, those under way included; it may exceed `max_branches`, because
            the first pass and the root's children do not ask for a branch.
        failed: expansions of this very node that failed.
        visiting: rollouts under way through this node; each counts as a visit of reward 0 (virtual loss).
        expanding: expansions of this very node under way.
        program: of the response that ends here; None where none does.
        shown: leaves that expansions of this node have been shown.
    """

    id: int
    parent: "Node | None"
    depth: int
    segment: str
    children: dict[str, "Node"] = field(default_factory=dict)
    visits: int = 0
    value: float = 0.0
    used: int = 0
    failed: int = 0
    visiting: int = 0
    expanding: int = 0
    program: Program | None = None
    evaluations: list[Evaluation] = field(default_factory=list)
    shown: set[int] = field(default_factory=set)

    def line(self) -> Iterator["Node"]:
        """This node and its ancestors, up to the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def below(self) -> Iterator["Node"]:
        """This node and all under it."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())


class Tree:
    """Nodes in the order of their making; the root comes first, parents come before their children."""

    def __init__(self) -> None:
        self.nodes = [Node(0, None, 0, "")]

    @property
    def root(self) -> Node:
        return self.nodes[0]

    def grow(self, program: Program) -> Node:
        """The node where `program` ends; steps that the tree has, comments aside, are walked, the others are made.

        A node where no response ended yet keeps this one; one that has a response keeps its own.
        """
        node = self.root
        for bare, segment in zip(program.bare, program.steps, strict=True):
            if bare not in node.children:
                node.children[bare] = Node(len(self.nodes), node, node.depth + 1, segment)
                self.nodes.append(node.children[bare])
            node = node.children[bare]
        node.program = node.program or program
        return node


def back_up(leaf: Node, evaluation: Evaluation) -> None:
    """N += 1 and Q += reward from `leaf` to the root (method step 9)."""
    leaf.evaluations.append(evaluation)
    for node in leaf.line():
        node.visits += 1
        node.value += evaluation.reward
