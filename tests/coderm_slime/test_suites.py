"""Plain test code, and rows of any origin, as suites. Programs that run here are written in this file."""

import json
import time

import pytest

from coderm_slime.problems import Fault, ProblemError, starter_problems, suite_of_code, suite_of_row
from coderm_slime.problems.cases import PICKLED
from coderm_slime.records import Suite, SuiteKind

CHECK = "LIMIT = 3\n\ndef check(candidate):\n    assert candidate(LIMIT) == 6\n"
PYTEST = "from solution import twice\n\ndef test_three():\n    assert twice(3) == 6\n"
CLASS = """import unittest

class Doubling(unittest.TestCase):
    def test_it(self):
        self.assertEqual(twice(3), 6)
"""


def passes(program: str, suite: Suite) -> list[bool]:
    """Whether each test of an asserts suite passes, run as its module says: in order, in one namespace."""
    space: dict = {}
    prepared = _runs(f"{program}\n{suite.setup}", space)
    return [prepared and _runs(test, space) for test in suite.tests]


def _runs(code: str, space: dict) -> bool:
    try:
        exec(code, space)
    except Exception:  # noqa: BLE001 - a test fails by any exception
        return False
    return True


@pytest.mark.parametrize(
    ("code", "setup", "tests"),
    [
        ("\nassert f(1) == 2\nassert f(2) == 3", "", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("import math\nassert f(math.pi)", "import math", ["assert f(math.pi)"]),
        ("assert f(1); assert f(2)  # two", "", ["assert f(1)", "assert f(2)"]),
        ("x = 1; assert f(x)", "x = 1", ["assert f(x)"]),
        ("assert f(1)\r\nassert f(2)\r\n", "", ["assert f(1)", "assert f(2)"]),
        ("r = f(1)\nassert r\nr = f(2)\nassert r", "r = f(1)", ["assert r", "r = f(2)\nassert r"]),
        ("assert f(1)\nassert f(2)\nprint('ok')", "", ["assert f(1)", "assert f(2)\nprint('ok')"]),
        ("# all\nassert f('é'); assert f('ü')", "# all", ["assert f('é')", "assert f('ü')"]),
        ("assert f(1); \\\n assert f(2)", "", ["assert f(1); \\\n assert f(2)"]),
        (
            "for n in range(3):\n    assert f(n)\nassert f(9)",
            "",
            ["for n in range(3):\n    assert f(n)", "assert f(9)"],
        ),
        ("with pytest.raises(ValueError):\n    f(0)", "", ["with pytest.raises(ValueError):\n    f(0)"]),
        ("if f(1) != 2:\n    raise AssertionError('no')", "", ["if f(1) != 2:\n    raise AssertionError('no')"]),
        ("np.testing.assert_allclose(f(1), 2)", "", ["np.testing.assert_allclose(f(1), 2)"]),
        ("if __name__ != '__main__':\n    assert f(1)", "", ["if __name__ != '__main__':\n    assert f(1)"]),
        ("def test_a():\n    assert f()\n\ntest_a()", "def test_a():\n    assert f()", ["test_a()"]),
    ],
)
def test_each_assertion_at_the_top_level_is_one_test_with_what_stands_before_it(code, setup, tests) -> None:
    suite = suite_of_code(code)
    assert (suite.kind, suite.setup, list(suite.tests)) == (SuiteKind.ASSERTS, setup, tests)


@pytest.mark.parametrize(
    ("code", "test"),
    [
        (CHECK, "check(f)"),
        (CHECK + "\ncheck(f)\n", "check(f)"),
        (CHECK + "\nif __name__ == '__main__':\n    check(f)\n", "if True:\n    check(f)"),
        ("def check():\n    assert f(3) == 6\n", "check()"),
        ("def one():\n    assert f(3) == 6\n\ndef main():\n    one()\n\nmain()", "main()"),
    ],
    ids=["not called", "called", "behind a guard that no runner may pass", "without argument", "through another"],
)
def test_a_function_that_checks_is_one_test_by_its_call(code: str, test: str) -> None:
    suite = suite_of_code(code, "f")
    assert suite.tests == (test,)
    assert passes("def f(n):\n    return n * 2", suite) == [True]
    assert passes("def f(n):\n    return n + 2", suite) == [False]


@pytest.mark.parametrize("code", [PYTEST, CLASS, PYTEST + "\ntest_three()\n", CLASS + "\nunittest.main()\n"])
def test_a_file_for_pytest_stays_whole(code: str) -> None:
    assert suite_of_code(code).kind is SuiteKind.PYTEST
    assert suite_of_code(code).tests == (code,)


@pytest.mark.parametrize(
    ("code", "entry_point", "fault"),
    [
        ("", None, Fault.NO_TESTS),
        ("# later", None, Fault.NO_TESTS),
        ("print(f(1))", None, Fault.NO_TESTS),
        ("def check(candidate):\n    return candidate(1)", "f", Fault.NO_TESTS),
        ("result = check(f)", "f", Fault.NO_TESTS),
        ("def verify():\n    assert f(1)", None, Fault.NO_TESTS),
        (CHECK, None, Fault.UNREADABLE_TESTS),
        (CHECK, "f) or (1", Fault.UNREADABLE_TESTS),
        ("assert f(", None, Fault.UNREADABLE_TESTS),
        ("assert f('\ud800')", None, Fault.UNREADABLE_TESTS),
        ("assert f('\0')", None, Fault.UNREADABLE_TESTS),
        ("assert " + "(" * 5000, None, Fault.UNREADABLE_TESTS),
        ("from solution import f\nassert f(1)", None, Fault.UNREADABLE_TESTS),
    ],
)
def test_code_that_could_not_fail_or_not_run_is_refused_and_never_passed_by_all(code, entry_point, fault) -> None:
    with pytest.raises(ProblemError) as caught:
        suite_of_code(code, entry_point)
    assert caught.value.fault is fault


@pytest.mark.parametrize("problem", starter_problems(), ids=lambda problem: problem.id)
def test_all_tests_of_a_split_pass_exactly_if_the_one_file_does(problem) -> None:
    assert len(problem.suite.tests) >= 4
    assert all(passes(problem.solution, problem.suite))
    for wrong in problem.wrong:
        assert not all(passes(wrong, problem.suite))


def test_large_test_code_is_split_in_time_in_step_with_its_length() -> None:
    chain = "".join(f"def c{n}():\n    c{n + 1}()\n" for n in range(1000)) + "def c1000():\n    assert f()\nc0()\n"
    start = time.monotonic()
    assert suite_of_code(chain).tests == ("c0()",)
    assert len(suite_of_code("assert f(1) == 2\n" * 20_000).tests) == 20_000
    assert len(suite_of_code("assert f(1) == 2; " * 20_000).tests) == 20_000
    blank = {"public_test_cases": json.dumps(STDIN), "private_test_cases": f"abcd{' ' * 1_000_000}!"}
    with pytest.raises(ProblemError, match="no JSON"):
        suite_of_row(blank)
    assert time.monotonic() - start < 20


ASSERTS = ["assert f(1) == 2", "assert f(2) == 3"]
OWN = {"kind": "asserts", "tests": ASSERTS}
STDIN = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]
CALLED = [{"input": "[1, 2]\n3", "output": "6", "testtype": "functional"}]


@pytest.mark.parametrize(
    ("row", "kind", "count"),
    [
        ({"label": "\n".join(ASSERTS)}, "asserts", 2),
        ({"label": ASSERTS}, "asserts", 2),
        ({"label": json.dumps(ASSERTS)}, "asserts", 2),
        ({"label": OWN}, "asserts", 2),
        ({"label": json.dumps(OWN)}, "asserts", 2),
        ({"label": json.dumps({"test_list": ASSERTS})}, "asserts", 2),
        ({"label": {"unit_tests": json.dumps(ASSERTS)}}, "asserts", 2),
        ({"label": CHECK, "entry_point": "f"}, "asserts", 1),
        ({"label": {"test": CHECK}, "entry_point": "f"}, "asserts", 1),
        ({"label": PYTEST}, "pytest", 1),
        ({"label": json.dumps(STDIN)}, "stdio", 1),
        ({"label": CALLED, "entry_point": "f"}, "calls", 1),
        ({"label": "[f(n) for n in range(3)]\nassert f(1)"}, "asserts", 1),
        ({"suite": OWN, "label": "nothing of this kind"}, "asserts", 2),
        ({"suite": Suite(kind="asserts", tests=("assert f(1)",)), "test": PYTEST}, "asserts", 1),
        ({"suite": None, "test": "", "tests": [], "label": PYTEST}, "pytest", 1),
        ({"test": PYTEST, "test_info": None, "label": "def twice(n):\n    return n * 2"}, "pytest", 1),
        ({"test_code": PYTEST + "test_three()\n", "test": "assert f(1)"}, "pytest", 1),
        ({"test_list": ASSERTS, "test_setup_code": "import math", "label": CHECK}, "asserts", 2),
        ({"public_test_cases": json.dumps(STDIN), "private_test_cases": json.dumps(STDIN)}, "stdio", 2),
    ],
)
def test_the_tests_of_a_row_are_found_wherever_it_keeps_them_in_the_order_documented(row, kind, count) -> None:
    suite = suite_of_row(row)
    assert suite.kind.value == kind
    assert len(suite.tests) + len(suite.cases) == count


@pytest.mark.parametrize(
    ("row", "fault", "said"),
    [
        ({}, Fault.NO_TESTS, r"no tests in the fields \(none\)"),
        ({"label": None, "answer": "4"}, Fault.NO_TESTS, "no tests in the fields answer, label"),
        ({"label": "   "}, Fault.NO_TESTS, "label"),
        ({"label": "[]"}, Fault.NO_TESTS, "no tests"),
        ({"label": {}}, Fault.NO_TESTS, "no tests"),
        ({"label": {"answer": 4}}, Fault.NO_TESTS, "no tests"),
        ({"label": "42"}, Fault.NO_TESTS, "no assertion"),
        ({"label": 42}, Fault.UNREADABLE_TESTS, "found int"),
        ({"label": "the answer is 4"}, Fault.UNREADABLE_TESTS, "no Python"),
        ({"label": [ASSERTS[0], None]}, Fault.UNREADABLE_TESTS, "found NoneType"),
        ({"label": {"kind": "asserts"}}, Fault.UNREADABLE_TESTS, "the suite's"),
        ({"label": '{"kind": "asserts", "tests": ["asse'}, Fault.UNREADABLE_TESTS, "no Python"),
        ({"label": "[" * 100_000}, Fault.UNREADABLE_TESTS, "no Python"),
        ({"suite": "x = 1", "label": PYTEST}, Fault.NO_TESTS, "no assertion"),
        ({"test_code": ["x"]}, Fault.UNREADABLE_TESTS, "found list"),
        ({"test_list": "assert f(1)"}, Fault.UNREADABLE_TESTS, "found str"),
        ({"label": [{"input": "1"}]}, Fault.UNREADABLE_TESTS, "output"),
        ({"label": [*STDIN, *CALLED]}, Fault.UNREADABLE_TESTS, "testtype"),
        ({"label": CALLED}, Fault.UNREADABLE_TESTS, "entry_point"),
        ({"public_test_cases": "[]", "private_test_cases": "gASVAAAA"}, Fault.NO_TESTS, "pickled"),
        ({"public_test_cases": "{}"}, Fault.UNREADABLE_TESTS, "found dict"),
        ({"public_test_cases": "no list"}, Fault.UNREADABLE_TESTS, "no JSON"),
        ({"public_test_cases": "[1]"}, Fault.UNREADABLE_TESTS, "no JSON object"),
    ],
)
def test_a_row_without_readable_tests_says_what_it_has_instead(row: dict, fault: Fault, said: str) -> None:
    with pytest.raises(ProblemError, match=said) as caught:
        suite_of_row(row)
    assert caught.value.fault is fault


@pytest.mark.parametrize("bad", ["1 2", "NaN", "1e999", "[" * 100_000, "'a'", "9" * 5000])
def test_a_functional_case_that_is_no_json_is_refused(bad: str) -> None:
    for case in ({"input": bad, "output": "1"}, {"input": "1", "output": bad}):
        with pytest.raises(ProblemError, match="no JSON"):
            suite_of_row({"label": [{**case, "testtype": "functional"}], "entry_point": "f"})


def test_arguments_stand_one_a_line_and_none_is_none() -> None:
    cases = [{"input": '[1, 2]\n"a b"\n', "output": "null"}, {"input": "", "output": "[]"}]
    suite = suite_of_row({"label": [{**case, "testtype": "functional"} for case in cases], "entry_point": "f"})
    assert [(case.input, case.output) for case in suite.cases] == [('[[1, 2], "a b"]', "null"), ("[]", "[]")]


def test_pickled_private_tests_are_left_out_and_said_to_be() -> None:
    suite = suite_of_row({"public_test_cases": json.dumps(STDIN), "private_test_cases": "eJxrYJlawAABAAk0Ag8="})
    assert len(suite.cases) == 1
    assert suite.metadata == {"not_read": [PICKLED]}
