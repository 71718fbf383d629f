"""The tree search itself (method step 7): which rollout comes next, and what its outcome does to the tree.

Pure: it asks no model, runs nothing, reads no file and no clock. Everything follows from the configuration, the seed
and the outcomes in the order of their rollouts, so a list of outcomes is a whole state.
"""

from mcts.search.search import Search
from mcts.search.tasks import Evaluated, Failed, Grown, Outcome, Reflection, Task
from mcts.search.uct import decided_by_uct

__all__ = ["Evaluated", "Failed", "Grown", "Outcome", "Reflection", "Search", "Task", "decided_by_uct"]
