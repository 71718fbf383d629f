"""A row of each public data set as a `Problem`. Fields are read as the data sets' own files have them.

Nothing is downloaded, and no text of a data set is kept here. `metadata["data_set"]` names the data set;
`metadata["not_read"]` says what of a row was left out, where the row is a problem nevertheless. Every function here
raises `ProblemError` for a row that holds no problem, or no tests where its data set has tests.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import ValidationError

from coderm_slime.problems.faults import Fault, ProblemError, shown
from coderm_slime.problems.fields import Row, id_in, kept, list_in, program_in, text_in
from coderm_slime.problems.rows import entry_point_of, holds_tests, suite_of_row
from coderm_slime.problems.suites import joined
from coderm_slime.pycode import entry_points
from coderm_slime.records import Problem, Suite, problem_key

DataSet = Literal["human_eval", "mbpp", "kodcode", "open_code_instruct", "magicoder", "live_code_bench", "plain"]

_COMPLETE = "Complete this Python program: write the body of `{name}` so that it does what the docstring says."
_NAME_IT = "The tests call it by the name `{name}`."
_STARTER = "Start from this code:\n\n```python\n{code}\n```"
_STDIN = "Read the input from standard input and write the answer to standard output."
_ADDED = re.compile(
    "|".join(
        re.escape(text).replace(r"\{name\}", r"[^`\n]*")
        for text in (_COMPLETE, _NAME_IT, _STARTER.partition("{code}")[0], _STDIN)
    )
)


def without_added(statement: str) -> str:
    """A problem's statement without the sentences that the functions here add to the data set's own."""
    return _ADDED.sub(" ", statement)


def human_eval_problem(row: Row) -> Problem:
    """A problem of HumanEval: an instruction and the prompt; the solution is the prompt and its completion."""
    name, prompt = text_in(row, "entry_point"), text_in(row, "prompt")
    return _problem(
        "human_eval",
        id=id_in(row, "task_id"),
        problem=f"{_COMPLETE.format(name=name)}\n\n{prompt}",
        entry_point=name,
        solution=prompt + text_in(row, "canonical_solution"),
        suite=suite_of_row({"test": row.get("test"), "entry_point": name}),
    )


def mbpp_problem(row: Row, challenge: bool = False) -> Problem:
    """A problem of MBPP, full or sanitized; with `challenge`, its harder tests (full only) join its tests."""
    asserts = [*list_in(row, "test_list"), *(list_in(row, "challenge_test_list") if challenge else [])]
    prepare = kept(row, "test_setup_code", "test_imports")
    return _named(
        "mbpp",
        id=f"mbpp/{id_in(row, 'task_id')}",
        problem=text_in(row, "text", "prompt"),
        solution=text_in(row, "code"),
        suite=suite_of_row({"test_list": asserts, **prepare}),
    )


def kodcode_problem(row: Row) -> Problem:
    """A problem of KodCode-V1, in either revision of its fields, or of KodCode-V1-SFT-R1."""
    name = entry_point_of(row)
    facts = kept(row, "subset", "gpt_difficulty", "gpt_pass_percentage", "r1_correctness", "benchmark_similarity")
    return _named(
        "kodcode",
        id=id_in(row, "question_id", "conversation_id"),
        problem=text_in(row, "question"),
        entry_point=name,
        solution=text_in(row, "solution"),
        suite=suite_of_row({"test_code": row.get("test_code") or row.get("test"), "entry_point": name}),
        metadata={"style": row.get("style") or row.get("split"), **facts},
    )


def open_code_instruct_problem(row: Row) -> Problem:
    """A problem of OpenCodeInstruct, whose fields are all text; `average_test_score` becomes a number in [0, 1]."""
    score = _share(row.get("average_test_score"))
    return _named(
        "open_code_instruct",
        id=id_in(row, "id"),
        problem=text_in(row, "input"),
        solution=text_in(row, "output"),
        suite=suite_of_row({"unit_tests": row.get("unit_tests")}),
        metadata={"average_test_score": score, **kept(row, "domain", "generation_algorithm")},
        not_read=["average_test_score: no number in [0, 1]"] if score is None else [],
    )


def magicoder_problem(row: Row) -> Problem:
    """A Python problem of Magicoder-OSS-Instruct-75K. It has no tests."""
    if (language := text_in(row, "lang")) != "python":
        raise ProblemError(Fault.NOT_PYTHON, f"lang is {language[:40]!r}")
    return _problem(
        "magicoder",
        id=f"magicoder/{id_in(row, 'raw_index', 'index')}",
        problem=text_in(row, "problem"),
        solution=text_in(row, "solution"),
        metadata=kept(row, "raw_index", "index"),
    )


def live_code_bench_problem(row: Row) -> Problem:
    """A problem of LiveCodeBench's code_generation_lite. It has no solution; private tests that are pickled stay out.

    The starter code, if any, stands in the statement. `entry_point` is a method of class `Solution` where the starter
    code defines it so.
    """
    suite = suite_of_row(row)
    starter = kept(row, "starter_code").get("starter_code")
    endings = [_STARTER.format(code=starter)] if starter else [] if suite.entry_point else [_STDIN]
    return _problem(
        "live_code_bench",
        id=id_in(row, "question_id"),
        problem="\n\n".join([text_in(row, "question_content").rstrip(), *endings]),
        entry_point=suite.entry_point,
        suite=suite,
        metadata=kept(row, "question_title", "platform", "contest_id", "contest_date", "difficulty"),
    )


def plain_problem(row: Row) -> Problem:
    """Any row with `problem` or `prompt`; `id`, `solution`, `entry_point` and tests are optional.

    Tests are read as `suite_of_row` says. Without `id` or `task_id` it is named by its problem's key. What else it
    holds is kept in `metadata`.
    """
    text = text_in(row, "problem", "prompt")
    suite = suite_of_row(row) if holds_tests(row) else None
    given = {key: value for key, value in row.items() if key not in ("problem", "prompt", "id", "suite")}
    if row.get("suite") is None:  # with a suite of its own, `test` is our own form already
        given["test"] = suite and joined(suite)
    name = id_in(row, "id", "task_id") if kept(row, "id", "task_id") else problem_key(text)
    return _validated({**given, "id": name, "problem": text, "suite": suite})


READERS: dict[DataSet, Callable[[Row], Problem]] = {
    "human_eval": human_eval_problem,
    "mbpp": mbpp_problem,
    "kodcode": kodcode_problem,
    "open_code_instruct": open_code_instruct_problem,
    "magicoder": magicoder_problem,
    "live_code_bench": live_code_bench_problem,
    "plain": plain_problem,
}


def _named(data_set: DataSet, *, entry_point: str | None = None, problem: str, suite: Suite, **rest: Any) -> Problem:
    """A problem whose statement says what its tests call: the data set's own statement may not."""
    name = entry_point or _shared_name(rest["solution"], suite)
    if name and not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", problem):
        problem = f"{problem.rstrip()}\n\n{_NAME_IT.format(name=name)}"
    suite = suite.model_copy(update={"entry_point": name})
    return _problem(data_set, problem=problem, entry_point=name, suite=suite, **rest)


def _problem(
    data_set: DataSet,
    *,
    solution: str | None = None,
    suite: Suite | None = None,
    metadata: Mapping[str, Any] | None = None,
    not_read: Sequence[str] = (),
    **fields: Any,
) -> Problem:
    program = solution and program_in(solution)
    left_out = [*not_read, *(suite.metadata.get("not_read", []) if suite else [])]
    if solution and not program:
        left_out.append("solution: no Python program in it")
    facts = {"data_set": data_set, **(metadata or {}), **({"not_read": left_out} if left_out else {})}
    return _validated(
        {**fields, "solution": program, "suite": suite, "test": suite and joined(suite), "metadata": facts}
    )


def _validated(fields: dict[str, Any]) -> Problem:
    try:
        return Problem.model_validate(fields)
    except ValidationError as error:
        raise ProblemError(Fault.BAD_FIELD, shown(error)) from error


def _shared_name(solution: str, suite: Suite) -> str | None:
    """The one name that the solution defines and the tests use; None where it is not one."""
    defined = set(entry_points(program_in(solution) or ""))
    words = set(re.findall(r"\w+", "\n".join([suite.setup, *suite.tests])))
    return found.pop() if len(found := defined & words) == 1 else None


def _share(text: Any) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= 1 else None
