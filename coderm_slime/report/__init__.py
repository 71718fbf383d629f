"""The HTML shell that search trees, evaluations and plots share: one self-contained page, light or dark, no script.

Whatever is not `markupsafe.Markup` is text and is escaped, so a problem or an answer can hold any HTML. Knows nothing
of what a page is about.
"""

from coderm_slime.report.blocks import Bar, KeyFigure, bar_chart, code_block, key_figures, paragraph, table, text_block
from coderm_slime.report.page import Section, page, write_page
from coderm_slime.report.render import Cell, renderer

__all__ = [
    "Bar",
    "Cell",
    "KeyFigure",
    "Section",
    "bar_chart",
    "code_block",
    "key_figures",
    "page",
    "paragraph",
    "renderer",
    "table",
    "text_block",
    "write_page",
]
