"""Facts about Python source and the Markdown around it, by `ast` and `tokenize`. Runs nothing, asks no model.

Covers fenced blocks, the code of an answer, validity, the comment-free form, entry points, and segments with exact
character offsets; text edits at syntax nodes. Does not format or judge code.
"""

from coderm_slime.pycode.edits import Edit, Places, edited, without_docstrings
from coderm_slime.pycode.fences import CodeBlock, answer_code, blocks
from coderm_slime.pycode.segments import Segment, segments
from coderm_slime.pycode.source import SourceError, entry_points, parses, without_comments

__all__ = [
    "CodeBlock",
    "Edit",
    "Places",
    "Segment",
    "SourceError",
    "answer_code",
    "blocks",
    "edited",
    "entry_points",
    "parses",
    "segments",
    "without_comments",
    "without_docstrings",
]
