"""Report pages as a browser's parser sees them."""

import os
import stat
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup

from coderm_slime.report import (
    Bar,
    KeyFigure,
    Section,
    bar_chart,
    code_block,
    key_figures,
    page,
    paragraph,
    table,
    write_page,
)

VOID = {"meta"}
HOSTILE = "</script></style></title></pre><script>alert(1)</script><img src=x onerror=alert(1)> \"'> {{ 7 * 7 }} &amp;"


class Reader(HTMLParser):
    """Collects elements and text, and fails on a tag that closes another one than the last opened."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data)

    def all(self, tag: str, class_: str | None = None) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag and attrs.get("class") == class_]


def full_page(text: str) -> str:
    """A page that shows `text` in every place where text can stand."""
    blocks = [
        paragraph(text),
        code_block(text),
        table([text, "n"], [[text, 1], [None, 2.0]]),
        key_figures([KeyFigure(text, text, text)]),
        bar_chart(text, [Bar(text, 0.9, 0.8, 0.95), Bar("floor", 0.5, muted=True)], line=0.5),
        text,
    ]
    return page(text, [Section(text, blocks), Section("Empty", [])])


def test_text_from_outside_shows_as_text_in_every_place_and_adds_no_element() -> None:
    plain, hostile = Reader(full_page("plain")), Reader(full_page(HOSTILE))
    assert [(tag, attrs.keys()) for tag, attrs in hostile.elements] == [
        (tag, attrs.keys()) for tag, attrs in plain.elements
    ]
    whole = [text for text in hostile.texts if HOSTILE in text]
    assert len(whole) == len([text for text in plain.texts if "plain" in text]) - 1  # a long bar label is cut short
    assert [attrs["aria-label"] for attrs in hostile.all("svg")] == [HOSTILE]


def test_a_page_loads_nothing_runs_nothing_and_follows_light_and_dark() -> None:
    html = full_page("plain")
    assert html.startswith("<!DOCTYPE html>")
    assert "prefers-color-scheme: dark" in html
    for outside in ("<script", "src=", "href=", "url(", "@import", "http:", "https:"):
        assert outside not in html
    assert "default-src 'none'" in html


def test_markup_stands_as_it_is_and_so_do_the_lines_of_code() -> None:
    code = "\n\ndef f(a):\n\treturn a < 1 and 'x'\n"
    read = Reader(page("T", [Section("S", [Markup("<ol></ol>"), code_block(code)])]))
    assert read.all("ol")
    assert code in read.texts


def test_a_table_sets_numbers_to_the_right_and_shows_what_is_missing() -> None:
    read = Reader(table(["name", "n", "accuracy"], [["model", 1234, 0.98765], ["floor", 7, None]]))
    assert read.texts == ["name", "n", "accuracy", "model", "1,234", "0.988", "floor", "7", "–"]  # noqa: RUF001
    assert (len(read.all("td", "number")), len(read.all("th", "number"))) == (3, 2)
    with pytest.raises(ValueError, match="2 columns, but a row of 1"):
        table(["a", "b"], [[1]])


def test_bars_error_bars_and_the_line_stand_where_their_values_are() -> None:
    read = Reader(bar_chart("Accuracy", [Bar("model", 0.9, 0.8, 0.95), Bar("floor", 0.6, muted=True)], line=0.5))
    ticks = [float(attrs["x1"]) for attrs in read.all("line")]
    left, right = ticks[0], ticks[-1]

    def at(value: float) -> float:
        return pytest.approx(left + (right - left) * value, abs=0.06)  # one decimal is written

    (model,), (floor,) = read.all("rect"), read.all("rect", "muted")
    assert [float(model["x"]), float(floor["x"])] == [left, left]
    assert [left + float(model["width"]), left + float(floor["width"])] == [at(0.9), at(0.6)]
    error, low, high = read.all("line", "error")
    assert (float(error["x1"]), float(error["x2"])) == (at(0.8), at(0.95))
    assert (float(low["x1"]), float(high["x1"])) == (at(0.8), at(0.95))
    assert [float(attrs["x1"]) for attrs in read.all("line", "reference")] == [at(0.5)]
    assert "0.900 [0.800, 0.950]" in "".join(read.texts)


@pytest.mark.parametrize(
    "numbers", [(1.2,), (float("nan"),), (0.5, 0.6, 0.4), (0.5, 0.4), (0.5, None, 0.6), (0.5, -0.1, 0.6)]
)
def test_a_bar_that_cannot_be_drawn_truly_is_refused(numbers: tuple) -> None:
    with pytest.raises(ValueError, match="needs 0 <= low <= high <= 1"):
        Bar("b", *numbers)


def test_a_page_is_written_whole_into_a_new_folder_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_page(path, page("été 漢字", [Section("lone \ud800 surrogate", [code_block("a\r\nb")])]))
    text = path.read_bytes().decode("utf-8")
    assert "été 漢字" in text
    assert "lone ? surrogate" in text
    assert "a\r\nb" in text
    assert os.listdir(path.parent) == ["report.html"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_reader_never_meets_half_a_page_and_a_failed_write_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    pages = {letter: letter * 2_000_000 for letter in "ab"}
    write_page(path, pages["a"])
    done = threading.Event()

    def write() -> None:
        for _ in range(10):
            for html in pages.values():
                write_page(path, html)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert path.read_text() in pages.values()
    writer.join()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_page(path, "new")
    assert path.read_text() == pages["b"]
    assert os.listdir(tmp_path) == ["report.html"]
