"""The program of a response in steps: where each ends in the code and in the response, and what makes two the same."""

import pytest

from coderm_slime.pycode import Program, SourceError, bare_steps, program_cut_at, program_in, segments

CODE = """\
import functools

# class Box:
@functools.cache  # print(x)
def f(x):
    text = '''# no comment
print(x)
'''
    print(text)  # print(text)
    return x


class Box:
    \"\"\"A box.

    # no comment\"\"\"

    async def open(self):
        if self:
            colour = "#fff"

        # print(colour)
        print(colour)
        return colour


def g(): return f(1); print(f)
# the end
"""
LAST_LINES = ["    print(text)  # print(text)", "    return x", "        print(colour)", "        return colour"]


def fenced(code: str, indent: str = "", line_break: str = "\n") -> str:
    lines = ["Plan.", "", indent + "```python", *(indent + line if line else line for line in code.splitlines())]
    return line_break.join([*lines, indent + "```", "Done."])


@pytest.mark.parametrize("indent", ["", "  ", "\t"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_every_cut_is_where_its_last_statement_ends_in_the_response(indent: str, line_break: str) -> None:
    response = fenced(CODE, indent, line_break)
    program = program_in(response)
    ends = [*LAST_LINES, "def g(): return f(1); print(f)"]
    assert program.code == CODE
    assert [response[:cut].rsplit(line_break, 1)[1] for cut in program.cuts] == [indent + line for line in ends]
    assert [step.rstrip("\n").rsplit("\n", 1)[-1] for step in program.steps[:-1]] == LAST_LINES
    assert "".join(program.steps) + "# the end\n" == CODE
    assert program_cut_at(response, program.cuts) == program


def test_steps_are_the_segments_without_what_stands_behind_the_last_statement() -> None:
    program = program_in(fenced(CODE))
    whole = segments(CODE)
    assert program.ends[:-1] == tuple(segment.end for segment in whole[:-1])
    assert CODE[program.ends[-1] : whole[-1].end] == "# the end\n"


def test_a_prefix_keeps_its_steps_and_a_print_may_begin_behind_it() -> None:
    first = program_in("```python\na = 1\nb = 2\nprint(b)\nc = 3\n```")
    longer = "```python\na = 1\nb = 2\nprint(b)\nprint(a)\nc = 4\n```"
    assert program_in(longer).steps == ("a = 1\nb = 2\nprint(b)\nprint(a)\n", "c = 4\n")
    kept = program_in(longer, kept=first.ends[:1])
    assert kept.steps == ("a = 1\nb = 2\nprint(b)\n", "print(a)\n", "c = 4\n")
    assert program_cut_at(longer, kept.cuts) == kept
    with pytest.raises(SourceError, match="no statement ends at 7"):
        program_in(longer, kept=[7])


def test_steps_that_differ_in_comments_blank_lines_and_blanks_at_line_ends_are_the_same() -> None:
    one = program_in("```python\nx = '# 1'\nif x:\n    y = '''a # b \n\n  c'''\n    print(y)\nz = (1,\n\n  2)\n```")
    other = (
        "```py\n# x\n\nx = '# 1'   # y\nif x: # z\n  # odd\n\n    y = '''a # b \n\n  c''' \n    print(y)\n\n"
        "#\nz = (1, # one\n  2)\n```"
    )
    assert program_in(other).bare == one.bare
    assert one.bare[0] == "x = '# 1'\nif x:\n    y = '''a # b \n\n  c'''\n    print(y)\n"
    for different in (
        other.replace("'# 1'", "'# 2'"),
        other.replace("a # b ", "a # b"),
        other.replace("  c'''", " c'''"),
    ):
        assert program_in(different).bare != one.bare


def test_a_step_that_falls_out_of_an_indentation_is_freed_of_comments_in_its_program() -> None:
    deep = "        y = 1\n        print(y)\n        z = '#'  # deep\n        print(z)\n"
    code = f"def f(x):\n    if x:\n{deep}    return x\n"
    ends = [segment.end for segment in segments(code)]
    assert bare_steps(code, ends)[1:] == ("        z = '#'\n        print(z)\n", "    return x\n")


@pytest.mark.parametrize(
    "response",
    [
        "no code",
        "```python\nx = 1\n",
        "```python\nx = 1\n```\n```py\ny = 1\n```",
        "```\nx = 1\n```\n```\ny = 1\n```",
        "```json\n{}\n```",
    ],
)
def test_a_response_without_exactly_one_closed_python_block_has_no_program(response: str) -> None:
    assert program_in(response) is None
    assert program_cut_at(response, [1]) is None


def test_other_blocks_than_the_python_one_do_not_count() -> None:
    program = program_in("```\nprint(1)\n```\n```python\nx = 1\n```\n```text\n1\n```")
    assert isinstance(program, Program)
    assert program.code == "x = 1\n"


@pytest.mark.parametrize("code", ["", "# nothing\n\n", "x = '''open\n", "if x:\n        y\n    z\n"])
def test_code_without_a_statement_or_without_tokens_is_a_clear_error(code: str) -> None:
    with pytest.raises(SourceError, match="no Python"):
        program_in(f"```python\n{code}```")


def test_cuts_that_are_no_ends_of_statements_or_leave_code_out_are_told() -> None:
    response = "```python\nx = 1\nprint(x)\ny = 2\n```"
    with pytest.raises(SourceError, match="no statement ends at 12"):
        program_cut_at(response, [12])
    assert program_cut_at(response, [program_in(response).cuts[0]]) is None
    assert program_cut_at(response, []) is None
