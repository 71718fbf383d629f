"""The blocks that a page is put together from, as Markup in which all text that was given is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from coderm_slime.report.render import Cell, render


@dataclass(frozen=True)
class KeyFigure:
    """A number that a reader should see first, what it is, and, in small print, what it rests on."""

    label: str
    value: Cell
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar from 0 to `value`, with an error bar from `low` to `high` where both are known; all lie in [0, 1].

    Attributes:
        muted: drawn in grey, for what the other bars are compared with.

    Raises:
        ValueError: a value outside [0, 1], one end of the error bar alone, or low above high.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    muted: bool = False

    def __post_init__(self) -> None:
        ends = [end for end in (self.low, self.high) if end is not None]
        inside = all(0 <= number <= 1 for number in (self.value, *ends))
        if not inside or len(ends) == 1 or ends != sorted(ends):
            raise ValueError(f"{self}: needs 0 <= low <= high <= 1 and a value in [0, 1]")


def paragraph(text: str) -> Markup:
    """A paragraph of running text."""
    return Markup("<p>{}</p>").format(text)


def text_block(text: str) -> Markup:
    """Text of several paragraphs or lines, such as a problem statement: its line breaks are kept, long lines wrap."""
    return Markup('<p class="text">{}</p>').format(text)


def code_block(text: str) -> Markup:
    """`text` as it is, every space and line break kept."""
    return Markup("<pre><code>{}</code></pre>").format(text)


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    """A table; numbers stand to the right, floats with three decimals, None as a dash. A string is shown as it is.

    Raises:
        ValueError: a row has another length than `columns`.
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"{len(columns)} columns, but a row of {len(row)}: {row}")
    return render("table.html", columns=columns, rows=rows)


def key_figures(figures: Sequence[KeyFigure]) -> Markup:
    """A strip of large numbers with their labels."""
    return render("key_figures.html", figures=figures)


def bar_chart(caption: str, bars: Sequence[Bar], *, line: float) -> Markup:
    """Horizontal bars on a scale from 0 to 1, with a dashed line at `line` (0.5: what chance reaches in a pair)."""
    return render("bar_chart.html", caption=caption, bars=bars, line=line)
