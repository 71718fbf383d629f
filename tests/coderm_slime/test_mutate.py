"""Variants that are broken by construction, on small cases and on HumanEval.

The programs that run here in a child process are HumanEval's canonical solutions and edits of them: a fixed, released
data set that comes as a package, nothing that a model wrote for us, so no sandbox is asked for.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from coderm_slime.mutate import bare, broken_by_construction, human_eval_pairs, pairs_by_construction
from coderm_slime.mutate.expected import Expected, expected
from coderm_slime.mutate.other import with_body_of
from coderm_slime.mutate.result import wrong_results
from coderm_slime.problems import human_eval
from coderm_slime.pycode import SourceError, entry_points, parses, without_docstrings
from coderm_slime.records import Problem

HUMAN_EVAL = {problem.id: problem for problem in human_eval()}
TIMEOUT_S = 30
EVERY_NTH_PAIR = 7  # all of them fail, too, but take over a minute


def passes(program: str, test: str) -> bool:
    command = [sys.executable, "-I", "-c", f"{program}\n{test}"]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S).returncode == 0


def wrong(body: str, result: object, annotation: str = "") -> list[str]:
    """What becomes of the last line of `f`, given that a call of it must return `result`."""
    calls = [] if annotation else [Expected(result, None)]
    program = f"def f(x, y){annotation}:\n{body}\n"
    return [variant.rstrip("\n").split("\n")[-1].strip() for variant in wrong_results(program, "f", calls)]


def test_docstrings_go_and_every_other_string_stays() -> None:
    code = (
        '"""head"""\nimport os\nclass A:\n    "é"\n    # gone\n    @p\n    def f(self): "doc"\n    x = "é"; "stays"\n'
    )
    assert without_docstrings(code) == 'import os\nclass A:\n    @p\n    def f(self): pass\n    x = "é"; "stays"\n'
    assert without_docstrings("def f():\r\n    'd'\r\n    return 1\r\n") == "def f():\r\n    return 1\r\n"
    with pytest.raises(SourceError):
        without_docstrings("def f(:")


def test_what_a_test_expects_is_read_from_its_plain_asserts_only() -> None:
    test = (
        "def check(candidate):\n    assert candidate(1, [2]) == 'a', 'why'\n    assert other(1) == 2\n"
        "    assert abs(candidate(3) - 1) < 1e-6\n\nassert f(n) is None\nassert f(4) == g(4)\ncheck(f)\n"
    )
    problem = Problem(id="1", problem="p", entry_point="f", test=test)
    assert sorted(expected(problem), key=str) == [Expected("a", (1, [2])), Expected(None, None)]
    assert expected(Problem(id="1", problem="p", entry_point="f")) == []


@pytest.mark.parametrize(
    ("body", "result", "variants"),
    [
        ("    return x == y", True, ["return x != y"]),
        ("    return x not in y", True, ["return x in y"]),
        ("    return not any(x)", True, ["return any(x)"]),
        ("    return x < y", True, ["return not x < y"]),
        ("    return x and y", True, ["return not (x and y)"]),
        ("    return False", False, ["return True"]),
        ("    return x", [1, 2], ["return x[1:]", "return x[:-1]", "return x[::-1]"]),
        ("    return x", [], []),
        ("    return x", "a", ["return x.upper()", "return x[1:]", "return x[:-1]"]),
        ('    return "no"', "no", ['return "NO"', 'return "n"', 'return "o"', 'return "on"']),
        ("    return x * y", 0, ["return x * y + 1", "return x * y - 1"]),
        ("    return x | y", 0, ["return (x | y) + 1", "return (x | y) - 1"]),
        ("    return x", {1: 2}, []),
        ("    return x", None, []),
        ("    return f(x)", True, []),
        ("    yield x", 1, []),
    ],
)
def test_a_result_is_edited_where_the_expected_one_proves_it_wrong(body: str, result: object, variants: list) -> None:
    assert sorted(wrong(body, result)) == sorted(variants)


def test_without_a_test_only_edits_that_change_every_value_are_made() -> None:
    assert sorted(wrong("    return x", 0, " -> int")) == ["return x + 1", "return x - 1"]
    assert wrong("    return x", 0, " -> list") == []


def test_every_return_of_the_function_is_edited_and_none_of_a_function_inside() -> None:
    program = (
        "def f(x):\n    def g():\n        return 1\n    if x:\n        return True\n    return  (g() ==\n      x)\n"
    )
    [variant] = wrong_results(program, "f", [Expected(True, None)])
    assert variant == program.replace("return True", "return False").replace("==", "!=")


def test_another_problems_body_comes_with_this_problems_names() -> None:
    ours = "def add(a, b):\n    return a + b\n"
    theirs = "def both(s, t):\n    out = []\n    for c in s:\n        out.append((c, t))\n    return out\n"
    variant = with_body_of(ours, "add", [Expected(3, None)], theirs, "both")
    assert variant == "def add(a, b):\n    out = []\n    for c in a:\n        out.append((c, b))\n    return out\n"


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ("def g(s, t):\n    return len(s)\n", "a number may be the right number"),
        ("def g(s, t):\n    return s\n", "its family is not known"),
        ("def g(s, t):\n    r = []\n    r = t\n    return r\n", "its family changes"),
        ("def g(s, t):\n    return [helper(s)]\n", "it needs what stands outside"),
        ("def g(s):\n    return [s]\n", "it has other parameters"),
        ("def g(s, t):\n    a = 1\n    return [s, a]\n", "a name would mean two things"),
        ("def g(s, t):\n    list = s\n    return list(t)\n", "a builtin is no builtin there"),
    ],
)
def test_another_problems_body_is_not_used_where_nothing_proves_it_wrong(theirs: str, reason: str) -> None:
    ours = "def add(a, b):\n    return a + b\n"
    assert with_body_of(ours, "add", [Expected(3, None)], theirs, "g") is None, reason


def test_the_same_arguments_give_the_same_variants_and_another_seed_others() -> None:
    problems = list(HUMAN_EVAL.values())
    first, again, other = (
        [broken_by_construction(problem, problems, seed) for problem in problems[:9]] for seed in (0, 0, 1)
    )
    assert first == again != other


def test_a_problem_without_a_solution_or_a_test_has_what_can_be_proven() -> None:
    nothing = Problem(id="1", problem="p", entry_point="f")
    annotated = Problem(id="2", problem="p", entry_point="f", solution="def f(x) -> bool:\n    return x > 1\n")
    assert broken_by_construction(nothing, [annotated]) == []
    assert [broken.kind for broken in broken_by_construction(annotated, [nothing, annotated])] == ["result"]


def test_both_sides_of_a_pair_are_bare_programs_with_the_same_entry_point() -> None:
    pairs = human_eval_pairs()
    assert len({pair.metadata["id"] for pair in pairs}) > 140
    for pair in pairs:
        problem = HUMAN_EVAL[pair.metadata["id"]]
        assert pair.chosen == bare(problem.solution)
        assert parses(pair.rejected)
        assert bare(pair.rejected) == pair.rejected
        assert problem.entry_point in entry_points(pair.rejected)


def test_every_variant_of_a_sample_fails_the_test_that_the_right_program_passes() -> None:
    pairs = pairs_by_construction(list(HUMAN_EVAL.values()))[::EVERY_NTH_PAIR]
    assert {pair.metadata["kind"] for pair in pairs} == {"result", "other_problem", "stub"}
    jobs = [(pair.rejected, pair.metadata["id"], False) for pair in pairs]
    jobs += [(pair.chosen, pair.metadata["id"], True) for pair in pairs[::5]]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        passed = list(pool.map(lambda job: passes(job[0], HUMAN_EVAL[job[1]].test), jobs))
    assert passed == [right for _, _, right in jobs]
