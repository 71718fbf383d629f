"""Which responses of a tree can be used, and where each node's prefix ends in them."""

import itertools
from collections import Counter
from dataclasses import dataclass
from enum import Enum

from coderm_slime.pycode import Program, SourceError, bare_steps, program_cut_at, program_in
from coderm_slime.records import SearchTree, TreeNode


class Unusable(str, Enum):
    """Why a response gives no rows."""

    NOT_ONE_BLOCK = "not exactly one closed Python block that ends with the path"
    OTHER_CODE = "its code is not the path's segments"
    NO_PYTHON = "its code cannot be cut into statements at the path's places"
    NOT_EVALUATED = "it was never evaluated"


@dataclass(frozen=True)
class Completion:
    """A response that ends at a node, and the nodes from depth 1 to it.

    Attributes:
        cuts: for each node of `path`, the offset in the response where its last statement ends.
    """

    path: tuple[TreeNode, ...]
    response: str
    cuts: tuple[int, ...]

    @property
    def leaf(self) -> TreeNode:
        return self.path[-1]

    def text(self, depth: int, *, whole: bool) -> str:
        """The response up to the node of that depth; all of it if that is the last node and `whole` is set."""
        return self.response if whole and depth == len(self.path) else self.response[: self.cuts[depth - 1]]


def completions(tree: SearchTree, unusable: Counter[Unusable]) -> list[Completion]:
    """The responses of `tree` that can be used, those evaluated first coming first; the others are counted."""
    found = []
    for node in tree.nodes:
        if node.response is None:
            continue
        completion = _completion(tree, node)
        if isinstance(completion, Unusable):
            unusable[completion] += 1
        else:
            found.append(completion)
    return sorted(found, key=_first_evaluation)


def _completion(tree: SearchTree, node: TreeNode) -> Completion | Unusable:
    response, path = node.response or "", tree.path_to(node.id)[1:]
    if not path or not node.terminal_visits:
        return Unusable.NOT_EVALUATED
    try:
        program = program_cut_at(response, node.cuts) if node.cuts else program_in(response)
        if program is None:
            return Unusable.NOT_ONE_BLOCK
        return Completion(path, response, program.cuts) if _has_steps(program, path) else Unusable.OTHER_CODE
    except SourceError:
        return Unusable.NO_PYTHON


def _has_steps(program: Program, path: tuple[TreeNode, ...]) -> bool:
    code = "".join(node.segment for node in path)
    ends = list(itertools.accumulate(len(node.segment) for node in path))
    return program.bare == bare_steps(code, ends)


def _first_evaluation(completion: Completion) -> tuple[int, int]:
    evaluations = completion.leaf.evaluations
    return (evaluations[0].rollout if evaluations else 0), completion.leaf.id
