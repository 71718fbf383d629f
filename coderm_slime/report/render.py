"""Jinja templates to Markup. Autoescape is on for every template, and a name that a template lacks is an error."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

Cell = str | int | float | None


def cell_text(value: Cell) -> str:
    """A value as a reader wants it: 1,234 and 0.123, a dash for None; a string (Markup, too) comes back as it is."""
    if isinstance(value, str):
        return value
    if value is None:
        return "–"  # noqa: RUF001 - an en dash is meant
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def renderer(templates: Path) -> Callable[..., Markup]:
    """A function of a template's file name in that folder and the values that fill it; see `render`."""
    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell_text"] = cell_text

    def filled(template: str, **values: object) -> Markup:
        return Markup(environment.get_template(template).render(values))

    return filled


_shared = renderer(Path(__file__).with_name("templates"))


def render(template: str, **values: object) -> Markup:
    """The template of that file name in `templates/`, filled in; values that are not Markup are escaped."""
    return _shared(template, **values)
