"""A tree's rows as the method states them (step 1, item 10), before any filter or cap.

Scalar: for every response and every node on its path, the response up to there with the node's Q and N. Pairs: nodes
that are leaves or have two or more children; every two of them where neither is an ancestor of the other and Q/N
differs. A node's text is taken from the response below it that was evaluated first; a leaf's is its whole response.

Every row's metadata say where it comes from: problem_id, tree (its fingerprint), seed, node and leaf (or those of both
sides), kind, and the tree's provenance.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from coderm_slime.records import PairExample, ScalarExample, SearchTree, TreeNode
from mcts.export.completions import Completion

# Q is a sum of floats: 0.6 + 0.6 + 0.6 is less than 3 * 0.6. Rewards are judged in steps of 0.2.
_SAME = 1e-9
PREFIX, FULL = "prefix", "full"


def fingerprint(tree: SearchTree) -> str:
    """16 hex digits that stand for the whole tree."""
    return hashlib.sha256(tree.model_dump_json().encode()).hexdigest()[:16]


def scalar_examples(
    tree: SearchTree, responses: Sequence[Completion], *, whole_leaves: bool
) -> Iterator[ScalarExample]:
    """The scalar rows of `tree`, response by response, from the root down."""
    made_by = provenance(tree)
    inner = {node.parent for node in tree.nodes}
    for response in responses:
        for node in response.path:
            full = whole_leaves and node is response.leaf and node.id not in inner
            yield ScalarExample(
                problem=tree.problem.problem,
                response=response.text(node.depth, whole=full),
                q=node.value,
                n=node.visits,
                metadata={
                    **made_by,
                    "node": node.id,
                    "leaf": response.leaf.id,
                    "depth": node.depth,
                    "kind": FULL if full else PREFIX,
                },
            )


def pair_examples(tree: SearchTree, responses: Sequence[Completion]) -> Iterator[PairExample]:
    """The pairs of `tree`, in the order of their nodes."""
    made_by = provenance(tree)
    for one, other in itertools.combinations(_sides(tree, responses), 2):
        better, worse = (one, other) if one.label > other.label else (other, one)
        if better.label - worse.label <= _SAME or one.node.id in other.line or other.node.id in one.line:
            continue
        yield PairExample(
            problem=tree.problem.problem,
            chosen=better.text,
            rejected=worse.text,
            chosen_label=better.label,
            rejected_label=worse.label,
            chosen_n=better.node.visits,
            rejected_n=worse.node.visits,
            metadata={
                **made_by,
                "nodes": [better.node.id, worse.node.id],
                "leaves": [better.leaf, worse.leaf],
                "kind": f"{better.kind}-{worse.kind}",
            },
        )


def provenance(tree: SearchTree) -> dict[str, Any]:
    """What every row says of its tree."""
    return {
        "problem_id": tree.problem.id,
        "tree": fingerprint(tree),
        "seed": tree.seed,
        "provenance": dict(tree.provenance),
    }


@dataclass(frozen=True)
class _Side:
    node: TreeNode
    line: frozenset[int]  # the node and its ancestors
    leaf: int
    text: str
    kind: str

    @property
    def label(self) -> float:
        assert self.node.mean is not None, "a response that was evaluated passes it"
        return self.node.mean


def _sides(tree: SearchTree, responses: Sequence[Completion]) -> list[_Side]:
    children = Counter(node.parent for node in tree.nodes)
    first: dict[int, Completion] = {}
    for response in responses:
        for node in response.path:
            first.setdefault(node.id, response)
    return [_side(node, first[node.id], children[node.id]) for node in tree.nodes if _pairs(node, first, children)]


def _pairs(node: TreeNode, first: dict[int, Completion], children: Counter[int | None]) -> bool:
    return node.id in first and children[node.id] != 1


def _side(node: TreeNode, response: Completion, children: int) -> _Side:
    text = response.text(node.depth, whole=not children)
    line = frozenset(above.id for above in response.path[: node.depth])
    return _Side(node, line, response.leaf.id, text, PREFIX if children else FULL)
