"""Which part of a response is a node's path, by the offsets that the search kept."""

import itertools
from dataclasses import dataclass
from typing import Literal

from coderm_slime.pycode import python_blocks
from coderm_slime.records import SearchTree, TreeNode


@dataclass(frozen=True)
class Piece:
    """A stretch of text. `own` is the step of the node that is looked at, `path` one of a node above it."""

    text: str
    part: Literal["outside", "path", "own"] = "outside"
    node: int | None = None


@dataclass(frozen=True)
class PathText:
    """The text in which a node's path is shown.

    Attributes:
        leaf: the node where this response ends; None where no offsets are known: then the text is the path's steps
            alone, which belong to no response in particular.
    """

    pieces: tuple[Piece, ...]
    leaf: int | None


def path_text(tree: SearchTree, path: list[int], below: list[TreeNode]) -> PathText:
    """The path in a whole response: that of its last node, else the first one of `below` whose offsets are known.

    Steps are the same if they agree without comments, so another node's response may have other comments.
    """
    nodes = path[1:]
    leaf = next((node for node in (tree.nodes[path[-1]], *below) if node.cuts), None)
    if leaf is None or leaf.response is None:
        return PathText(tuple(_pieces([tree.nodes[node].segment for node in nodes], nodes)), None)
    response, cuts = leaf.response, leaf.cuts[: len(nodes)]
    begin = min(_code_start(response), cuts[0]) if cuts else 0
    steps = [response[start:end] for start, end in itertools.pairwise((begin, *cuts))]
    end = cuts[-1] if cuts else 0
    return PathText((Piece(response[:begin]), *_pieces(steps, nodes), Piece(response[end:])), leaf.id)


def _pieces(steps: list[str], nodes: list[int]) -> list[Piece]:
    return [Piece(text, "own" if node == nodes[-1] else "path", node) for text, node in zip(steps, nodes, strict=True)]


def _code_start(response: str) -> int:
    """Where the program begins; 0 where it is not plain which block that is."""
    found = python_blocks(response)
    return found[0].start if len(found) == 1 else 0
