"""Which earlier completion an expansion is shown."""

from mcts.search.tree import Node


def completion_for(node: Node) -> Node:
    """The leaf at or below `node` whose completion an expansion of `node` is shown; it now counts as shown.

    The one of the lowest mean reward that this node has not shown yet; when all are shown, the one of the highest; of
    equals the one that was evaluated first.

    Raises:
        ValueError: no response ends at or below `node`.
    """
    leaves = sorted((leaf for leaf in node.below() if leaf.evaluations), key=lambda leaf: leaf.evaluations[0].rollout)
    fresh = [leaf for leaf in leaves if leaf.id not in node.shown]
    leaf = min(fresh, key=_mean_reward) if fresh else max(leaves, key=_mean_reward)
    node.shown.add(leaf.id)
    return leaf


def _mean_reward(leaf: Node) -> float:
    return sum(evaluation.reward for evaluation in leaf.evaluations) / len(leaf.evaluations)
