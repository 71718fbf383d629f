"""UCT: the score of a child, and the choice among children (method step 7)."""

import math

from coderm_slime.records import Choice, Selection
from mcts.search.tree import Node


def uct_score(child: Node, parent: Node, exploration: float) -> float:
    """Q/N + c sqrt(ln N_parent / N); a rollout under way is a visit of reward 0."""
    visits = child.visits + child.visiting
    explored = math.sqrt(math.log(parent.visits + parent.visiting) / visits)
    return child.value / visits + exploration * explored


def choose(parent: Node, exploration: float) -> tuple[Node, Choice]:
    """The child of the highest score, the earlier one of equals, and the record of the decision."""
    children = list(parent.children.values())
    scores = [uct_score(child, parent, exploration) for child in children]
    chosen = children[scores.index(max(scores))]
    ids = tuple(child.id for child in children)
    return chosen, Choice(parent=parent.id, children=ids, scores=tuple(scores), chosen=chosen.id)


def decided_by_uct(selection: Selection) -> bool:
    """Whether UCT truly decided on the way: two or more children were compared at least once."""
    return any(len(choice.children) > 1 for choice in selection.choices)
