"""Plain test code as a `Suite`: what prepares, and one test for each assertion at the top level. Runs nothing.

The tests of a suite made here are meant to be run in their order and in one namespace after `setup`, as they stood in
one file: then all of them pass exactly if the file does. `setup` may call the program, too (`root = Node(1)`):
where it raises, all tests have failed.
"""

from coderm_slime.problems.checks import TopLevel
from coderm_slime.problems.faults import Fault, ProblemError
from coderm_slime.pycode import Edit, Places, SourceError, edited, parses
from coderm_slime.pycode.source import tree_of
from coderm_slime.records import Suite, SuiteKind


def suite_of_code(code: str, entry_point: str | None = None) -> Suite:
    """The suite in `code`, which is a block of asserts, a `check(candidate)` as HumanEval has it, or a pytest file.

    Asserts at the top level, and other statements there that can fail, are one test each, together with what stands
    between it and the one before; what stands before the first is `setup`. `if __name__ == "__main__":` counts as
    true. A `check` that nobody calls is called with `entry_point`. Code with functions `test_*` that it does not call
    itself, or that imports from `solution`, is a whole file for pytest.

    Raises:
        ProblemError: it does not parse, or holds nothing that could fail.
    """
    code = code.replace("\r\n", "\n")
    top = _parsed(code)
    if _is_for_pytest(top):
        return pytest_suite(code, entry_point)
    if top.imports("solution"):
        raise ProblemError(
            Fault.UNREADABLE_TESTS, "the tests import `solution`, as pytest files do, and hold no function test_*"
        )
    if guards := top.main_guards():
        places = Places(code)
        code = edited(code, [Edit(*places.span(guard.test), "True") for guard in guards])
        top = _parsed(code)
    setup, tests = _split(code, top)
    tests += _call_of_check(top, entry_point)
    if not tests:
        raise ProblemError(Fault.NO_TESTS, "the test code holds no assertion and no test function")
    return Suite(kind=SuiteKind.ASSERTS, entry_point=entry_point, setup=setup, tests=tuple(tests))


def pytest_suite(code: str, entry_point: str | None = None) -> Suite:
    """`code` as one file for pytest.

    Raises:
        ProblemError: it does not parse, or holds no function or class that pytest would collect.
    """
    code = code.replace("\r\n", "\n")
    if not _parsed(code).test_functions:
        raise ProblemError(Fault.NO_TESTS, "the test file holds no function test_*")
    return Suite(kind=SuiteKind.PYTEST, entry_point=entry_point, tests=(code,))


def joined(suite: Suite) -> str | None:
    """The tests as one text that runs behind the program in one file; None where the kind has no such form."""
    if suite.kind is not SuiteKind.ASSERTS:
        return None
    return "\n".join(part for part in (suite.setup, *suite.tests) if part) + "\n"


def _parsed(code: str) -> TopLevel:
    try:
        return TopLevel(tree_of(code))
    except (SourceError, RecursionError) as error:
        raise ProblemError(Fault.UNREADABLE_TESTS, f"the test code is {error}") from error


def _is_for_pytest(top: TopLevel) -> bool:
    if not top.test_functions:
        return False
    runs_them_itself = top.checks and top.test_functions <= top.used
    return top.imports("solution") or not runs_them_itself


def _split(code: str, top: TopLevel) -> tuple[str, list[str]]:
    """The text before the first check, and a text for each check; one text for all where a cut would break a line."""
    if not top.checks:
        return code.strip("\n"), []
    places = Places(code)
    start = places.span(top.body[top.checks[0]])[0]
    ends = [places.span(top.body[place])[1] for place in top.checks]
    if top.checks[-1] + 1 < len(top.body):  # say, a print at the end: it stays with the last test
        ends[-1] = len(code)
    cuts = zip([start, *ends[:-1]], ends, strict=True)
    tests = [code[begin:end].lstrip("; \t").strip("\n") for begin, end in cuts]
    setup = code[:start].rstrip(" \t;").strip("\n")
    whole = all(parses(text) for text in (setup, *tests))
    return (setup, tests) if whole else ("", [code.strip("\n")])


def _call_of_check(top: TopLevel, entry_point: str | None) -> list[str]:
    if not top.check_awaits_a_call:
        return []
    arguments = top.functions["check"].args
    if not (arguments.args or arguments.posonlyargs):
        return ["check()"]
    if not _is_name(entry_point):
        raise ProblemError(Fault.UNREADABLE_TESTS, f"check(candidate) needs an entry point, found {entry_point!r}")
    return [f"check({entry_point})"]


def _is_name(text: str | None) -> bool:
    return text is not None and all(part.isidentifier() for part in text.split("."))
