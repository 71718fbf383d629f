"""The page around the blocks, and the way to disk on which no reader meets half a page."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from coderm_slime.report.render import render
from coderm_slime.text import encodable

_NO_RULES = Markup()


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: Markup as it is, any other string escaped."""

    heading: str
    blocks: Sequence[str]


def page(title: str, sections: Sequence[Section], css: Markup = _NO_RULES) -> str:
    """A whole HTML document in one string. Its own policy keeps a browser from running or loading anything.

    Args:
        css: rules behind those that all pages share; never text from outside.
    """
    return str(render("page.html", title=title, sections=sections, css=css))


def write_page(path: Path, html: str) -> None:
    """Write `html` as UTF-8 to `path`, whole or not at all; folders are made, an older page is replaced.

    Raises:
        OSError: the folder cannot be made or written to; an older page stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as draft:
        whole = Path(draft) / "page"
        whole.write_text(encodable(html), encoding="utf-8", newline="")
        whole.replace(path)
