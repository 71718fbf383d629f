"""Search trees as training files: scalar examples and pairs, one split for both, and a card that says what is in them.

Reads trees, writes files; asks no model. What a tree cannot give is counted, named and left out, and never ends the
export.

completions     which responses of a tree can be used, and the text of each node in them
examples        a tree's rows, as the method states them (step 1, item 10)
limits          filters, caps and weights, tree by tree
split           which problems are held out
balance         pairs in which the longer side is the better one, against those in which it is the worse
trees           the trees of files and run folders, bad rows counted
export          from files to a folder, whole or not at all
counts, card    what was kept and dropped, in Markdown
"""

from mcts.export.config import PAPER, ExportConfig
from mcts.export.counts import Counts
from mcts.export.export import export
from mcts.export.trees import BadRow

__all__ = ["PAPER", "BadRow", "Counts", "ExportConfig", "export"]
