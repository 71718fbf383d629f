"""The ground floor of coderm-slime: what `reward`, `rollout`, `mcts` and `rm_train` all stand on.

It imports none of them. Importing it costs nothing: no torch, no network, no tokenizer.
"""

__version__ = "0.1.0"
