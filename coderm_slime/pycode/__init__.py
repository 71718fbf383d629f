"""Facts about Python source and the Markdown around it, by `ast` and `tokenize`. Runs nothing, asks no model.

Covers fenced blocks, the code of an answer, validity, the comment-free form, entry points, segments with exact
character offsets in the code and in the response around it; text edits at syntax nodes. Does not format or judge code.
"""

from coderm_slime.pycode.edits import Edit, Places, edited, without_docstrings
from coderm_slime.pycode.fences import CodeBlock, answer_code, blocks, python_blocks
from coderm_slime.pycode.program import Program, bare_steps, program_cut_at, program_in
from coderm_slime.pycode.segments import Segment, segments
from coderm_slime.pycode.source import SourceError, entry_points, parses, tree_of, without_comments

__all__ = [
    "CodeBlock",
    "Edit",
    "Places",
    "Program",
    "Segment",
    "SourceError",
    "answer_code",
    "bare_steps",
    "blocks",
    "edited",
    "entry_points",
    "parses",
    "program_cut_at",
    "program_in",
    "python_blocks",
    "segments",
    "tree_of",
    "without_comments",
    "without_docstrings",
]
