"""A finished or suspended search tree over code prefixes, held to its invariants. Nothing is searched here."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coderm_slime.records.base import Record
from coderm_slime.records.examples import Problem
from coderm_slime.records.rollouts import Evaluation, Selection

_Q_TOLERANCE = 1e-6  # per visit: Q is a sum of floats added in another order than its children's


class TreeNode(BaseModel):
    """One segment of code below its parent's prefix.

    Attributes:
        id: position in `SearchTree.nodes`; the root is 0 and has an empty segment.
        depth: the parent's depth + 1; 0 at the root.
        visits, value: N and Q of the search (method step 7): evaluations at or below this node, and their summed
            reward.
        terminal_visits: evaluations of the response that ends at this very node.
        response: the whole response that ends here; None where none does. It was the first of those that were told
            apart by comments alone.
        cuts: for each node of the path from depth 1 to this one, the offset in `response` where its prefix ends.
        evaluations: what each terminal visit found, in order; empty where a file does not keep it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: int = Field(ge=0)
    parent: int | None
    depth: int = Field(ge=0)
    segment: str
    visits: int = Field(ge=0)
    value: float = Field(ge=0)
    terminal_visits: int = Field(default=0, ge=0)
    response: str | None = None
    cuts: tuple[int, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def mean(self) -> float | None:
        """min(Q / N, 1), the regression target; None of a node that was never evaluated."""
        return min(self.value / self.visits, 1.0) if self.visits else None

    @model_validator(mode="after")
    def _describes_its_response(self) -> "TreeNode":
        if self.cuts:
            inside = self.response is not None and self.cuts[0] >= 0 and self.cuts[-1] <= len(self.response)
            if not inside or len(self.cuts) != self.depth or list(self.cuts) != sorted(self.cuts):
                raise ValueError(f"node {self.id}: cuts {self.cuts} do not rise to {self.depth} in its response")
        if self.evaluations and len(self.evaluations) != self.terminal_visits:
            raise ValueError(f"node {self.id}: {len(self.evaluations)} evaluations, {self.terminal_visits} visits")
        return self


class SearchTree(Record):
    """All nodes of one problem's search, parents before children.

    Attributes:
        calls: the sample calls that every response was run with.
        selections: what each rollout did, in order.
        provenance: what made the tree, by name: fingerprints of prompts, models and settings, token counts.

    Raises:
        pydantic.ValidationError: the nodes are no tree, a depth is wrong, N is not the sum over the children plus the
            node's own terminal visits, Q is not its children's sum plus at most 1 a terminal visit, or a selection
            names a node that is not there.
    """

    problem: Problem
    seed: int
    calls: str = ""
    selections: tuple[Selection, ...] = ()
    provenance: dict[str, str] = Field(default_factory=dict)
    nodes: tuple[TreeNode, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _holds_the_invariants(self) -> "SearchTree":
        child_visits = [0] * len(self.nodes)
        child_value = [0.0] * len(self.nodes)
        for index, node in enumerate(self.nodes):
            if node.id != index:
                raise ValueError(f"node at position {index} has id {node.id}")
            self._check_place(node)
            if node.parent is not None:
                child_visits[node.parent] += node.visits
                child_value[node.parent] += node.value
        for node in self.nodes:
            _check_statistics(node, child_visits[node.id], child_value[node.id])
        for selection in self.selections:
            _check_names(selection, len(self.nodes))
        return self

    def path_to(self, node: int) -> tuple[TreeNode, ...]:
        """The nodes from the root to `node`, both included."""
        path = [self.nodes[node]]
        while (parent := path[-1].parent) is not None:
            path.append(self.nodes[parent])
        return tuple(reversed(path))

    def _check_place(self, node: TreeNode) -> None:
        if node.parent is None:
            if node.id != 0 or node.depth != 0:
                raise ValueError(f"node {node.id} at depth {node.depth} has no parent; only node 0 at depth 0 may")
        elif not 0 <= node.parent < node.id:
            raise ValueError(f"node {node.id} has parent {node.parent}, which does not come before it")
        elif node.depth != self.nodes[node.parent].depth + 1:
            raise ValueError(f"node {node.id} has depth {node.depth}, its parent {self.nodes[node.parent].depth}")


def _check_statistics(node: TreeNode, child_visits: int, child_value: float) -> None:
    if node.terminal_visits and node.response is None:
        raise ValueError(f"node {node.id} was evaluated {node.terminal_visits} times but holds no response")
    if node.visits != child_visits + node.terminal_visits:
        raise ValueError(
            f"node {node.id} has N={node.visits}, its children sum to {child_visits} and it was itself "
            f"evaluated {node.terminal_visits} times"
        )
    slack = _Q_TOLERANCE * max(node.visits, 1)
    if not child_value - slack <= node.value <= child_value + node.terminal_visits + slack:
        raise ValueError(
            f"node {node.id} has Q={node.value}, its children sum to {child_value} and its own "
            f"{node.terminal_visits} evaluations give at most 1 each"
        )


def _check_names(selection: Selection, nodes: int) -> None:
    named = [selection.node, selection.leaf or 0]
    named += [node for choice in selection.choices for node in (choice.parent, *choice.children)]
    if strange := [node for node in named if not 0 <= node < nodes]:
        raise ValueError(f"rollout {selection.rollout} names node {strange[0]} of a tree of {nodes} nodes")
