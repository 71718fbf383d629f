"""Finished search trees as one HTML page for people (`coderm curate view`). Searches nothing, changes no tree.

layout      the order, the indentation and the folds of a tree's rows
code        which part of a response is a node's path
node        what the page says of one node
page        the whole page; templates/ holds its HTML and CSS, report/ the shell around it
"""

from mcts.view.page import tree_page

__all__ = ["tree_page"]
