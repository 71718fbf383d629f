"""Facts about Python source: fences, validity, comments, entry points, segments."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coderm_slime import pycode
from coderm_slime.pycode import (
    Segment,
    SourceError,
    answer_code,
    blocks,
    entry_points,
    parses,
    segments,
    without_comments,
)

SOURCES = sorted(Path(pycode.__file__).parents[1].rglob("*.py"))


@pytest.mark.parametrize(
    ("text", "tags", "codes"),
    [
        ("no code at all", [], []),
        ("```python\nx = 1\n```", ["python"], ["x = 1\n"]),
        ("```py\nx = 1\n```\nand\n~~~\ny\n~~~", ["py", ""], ["x = 1\n", "y\n"]),
        ("```Python title=a\r\nx = 1\r\n```\r\n", ["python"], ["x = 1\n"]),
        ("1. So:\n   ```python\n   if x:\n       y\n   ```\n", ["python"], ["if x:\n    y\n"]),
        ("\t```python\n\tx = 1\n\t```", ["python"], ["x = 1\n"]),
        ("````python\n'''\n```\n'''\n````", ["python"], ["'''\n```\n'''\n"]),
        ('```python\ndef f():\n    """\n    ```\n    """\n```', ["python"], ['def f():\n    """\n    ```\n    """\n']),
        ("```python\nx = '```'\n```", ["python"], ["x = '```'\n"]),
        ("```\n```", [""], [""]),
        ("```python\nx = 1", ["python"], ["x = 1"]),
        ("text ```python\nx = 1\n```", [""], [""]),
        ("\ufeff```python\nx = 1\n```", ["python"], ["x = 1\n"]),
        ("a\n\ufeff```python\nx = 1\n```", [""], [""]),
        ("> ```python\n> x = 1\n> ```", [], []),
    ],
)
def test_fenced_blocks_are_found_as_markdown_finds_them(text: str, tags: list[str], codes: list[str]) -> None:
    assert [block.tag for block in blocks(text)] == tags
    assert [block.code for block in blocks(text)] == codes


def test_a_block_knows_where_it_stands_and_whether_it_is_closed() -> None:
    text = "a\n```python\r\nx = 1\r\n```\nb\n```py\ny"
    first, second = blocks(text)
    assert (text[first.start : first.end], first.closed) == ("x = 1\r\n", True)
    assert (text[second.start : second.end], second.closed) == ("y", False)


def test_thousands_of_fences_take_no_time_and_keep_their_order() -> None:
    found = blocks("".join(f"```python\nx = {n}\n```\n" for n in range(20_000)))
    assert [len(found), found[-1].code] == [20_000, "x = 19999\n"]


def test_the_answers_code_is_the_last_python_block_else_the_last_without_a_tag() -> None:
    assert answer_code("```python\na\n```\n```py\nb\n```\n```text\nc\n```").code == "b\n"
    assert answer_code("```\na\n```\n```json\n{}\n```").code == "a\n"
    assert answer_code("```json\n{}\n```") is None
    for tag in ("PYTHON3.11", "Python3", "py3", "python3.11.7"):
        assert answer_code(f"```{tag}\na\n```\n```\nb\n```").code == "a\n"
    assert answer_code("```python2\na\n```") is None


@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("x = 1", True),
        ("async def f():\n    await g()\n", True),
        ("match x:\n    case 1:\n        pass\n", True),
        ("if x:\n\ty = 1\n        z = 2\n", False),
        ("def f(:", False),
        ("x = 1\0", False),
        ("(" * 5000 + ")" * 5000, False),
        ("-" * 30_000 + "1", False),
    ],
)
def test_code_parses_or_does_not_and_never_crashes_the_parser(code: str, right: bool) -> None:
    assert parses(code) is right


def test_comments_go_and_a_hash_in_a_string_stays() -> None:
    code = "# head\nx = '#fff'  # colour\n'''item # 1'''\ny = '''\n# no comment\n'''\n    # last\n"
    assert without_comments(code) == "x = '#fff'\n'''item # 1'''\ny = '''\n# no comment\n'''\n"
    assert without_comments("x = 1  # a\r\n# b\r\ny = 2\r\n") == "x = 1\r\ny = 2\r\n"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_real_code_without_comments_means_the_same(source: Path) -> None:
    import ast

    code = source.read_text()
    for text in (code, code.replace("\n", "\r")):
        assert ast.dump(ast.parse(without_comments(text))) == ast.dump(ast.parse(code))


def test_text_that_is_no_python_is_a_clear_error() -> None:
    for function in (without_comments, segments):
        with pytest.raises(SourceError, match="no Python"):
            function("x = '''never closed")
    with pytest.raises(SourceError, match="no Python"):
        entry_points("def f(:")


def test_entry_points_are_functions_coroutines_and_classes_at_the_top() -> None:
    code = "import os\nasync def a():\n    def inner(): ...\nclass B:\n    def m(self): ...\ndef c(): ...\nd = 1\n"
    assert entry_points(code) == ["a", "B", "c"]


CODE = """\
import math

# how far
def f(xs):
    total = 0
    print("start")
    for x in xs:
        total += x
        print(f"total {total}")
        print("again", total)
        # odd ones
        if x % 2:
            total += (
                1
            )
    print(total)
    return total
"""


def test_segments_end_after_a_print_that_shows_a_variable_and_where_the_indent_falls() -> None:
    steps = [CODE[segment.start : segment.end] for segment in segments(CODE)]
    assert "".join(steps) == CODE
    assert [step.strip().splitlines()[0].strip() for step in steps] == ["import math", "# odd ones", "return total"]
    assert steps[0].endswith('print("again", total)\n')
    assert steps[1].endswith("print(total)\n")
    falls = "def f(x):\n    if x:\n        y = 1\n    z = 2\n    return z\n"
    assert [falls[s.start : s.end] for s in segments(falls)] == [falls[:34], falls[34:]]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_segments_of_real_code_join_to_the_code_itself(source: Path) -> None:
    code = source.read_text()
    steps = segments(code)
    assert segments(code.replace("\n", "\r")) == steps
    for text in (code, code.replace("\n", "\r\n"), code.replace("\n", "\r"), code.rstrip("\n")):
        assert "".join(text[s.start : s.end] for s in segments(text)) == text


def test_a_carriage_return_alone_ends_a_line_as_it_does_for_python() -> None:
    assert segments("x=1\r#c\r") == [Segment(0, 7)]
    mixed = "x = 1\r\r\ny = 2 # c\rprint(y)\nz = 3"
    assert "".join(mixed[s.start : s.end] for s in segments(mixed)) == mixed
    assert [s.start for s in segments(mixed)] == [0, mixed.index("z =")]
    assert without_comments("x=1\r#c\ry=2 # d\r") == "x=1\ny=2\n"


def test_nothing_and_comments_alone_have_no_segments() -> None:
    assert segments("") == []
    assert segments("# only this\n") == []


def test_threads_that_parse_at_once_leave_the_processs_warnings_as_they_were() -> None:
    before, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns within a call
    try:
        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(parses, ["x = '\\d'"] * 5000))
    finally:
        sys.setswitchinterval(interval)
    assert warnings.filters == before
