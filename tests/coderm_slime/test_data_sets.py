"""Public data sets as problems. All rows here are our own inventions in the data sets' schemas.

`CODERM_DATA` names a folder with humaneval.jsonl, mbpp.jsonl and the pairs of their mutants, whose counts are held.
"""

import importlib
import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from coderm_slime.errors import CodermError
from coderm_slime.problems import Fault, LeftOut, human_eval, read_problems
from coderm_slime.records import Problem, SuiteKind, read_jsonl
from helpers.processes import coderm

TWICE = "def twice(n):\n    return n * 2\n"
FILE = "from solution import twice\n\ndef test_three():\n    assert twice(3) == 6\n"
ASSERTS = ["assert twice(3) == 6", "assert twice(0) == 0"]
STDIN = json.dumps([{"input": "3\n", "output": "6\n", "testtype": "stdin"}])
CALLED = json.dumps([{"input": "3", "output": "6", "testtype": "functional"}])
STARTER = "class Solution:\n    def twice(self, n: int) -> int:\n        "

HUMAN_EVAL = {
    "task_id": "HumanEval/900",
    "prompt": 'def twice(n):\n    """Double n."""\n',
    "canonical_solution": "    return n * 2\n",
    "test": "def check(candidate):\n    assert candidate(3) == 6\n",
    "entry_point": "twice",
}
MBPP = {
    "task_id": 901,
    "text": "Write a function that doubles a number.",
    "code": TWICE.replace("\n", "\r\n"),
    "test_setup_code": "",
    "test_list": ASSERTS,
    "challenge_test_list": ["assert twice(-1) == -2"],
}
SANITIZED = {
    "source_file": "ours",
    "task_id": 902,
    "prompt": "Write a function that doubles a number.",
    "code": TWICE,
    "test_imports": ["import math"],
    "test_list": ASSERTS,
}
KODCODE_OLD = {
    "split": "instruct",
    "subset": "Made",
    "conversation_id": "Made_1_I",
    "question": "Write `twice`, which doubles a number.",
    "solution": TWICE,
    "test_code": FILE,
    "test_entry_point": "twice",
    "gpt_pass_percentage": 0.5,
    "trials": {"trial_gpt4o_0": {"solution_code": "x"}},
}
KODCODE_NEW = {
    "version": "v1",
    "style": "online_judge",
    "subset": "Made",
    "question_id": "Made_2_I",
    "question": "Double a number.",
    "solution": TWICE,
    "test": FILE,
    "test_info": [{"function_name": "twice", "function_declaration": "def twice(n):", "parameter_list": "(n)"}],
}
SFT = KODCODE_NEW | {"question_id": "Made_3_I", "r1_correctness": "True", "conversations": [], "r1_solution": TWICE}
OCI = {
    "id": "a1",
    "input": "Write a function `twice` that doubles a number.",
    "output": f"```python\n{TWICE}```",
    "domain": "generic",
    "generation_algorithm": "self-instruct",
    "llm_judgement": "{}",
    "unit_tests": json.dumps(ASSERTS),
    "tests_execution_status": '["pass", "pass"]',
    "average_test_score": "1.0",
}
MAGICODER = {
    "lang": "python",
    "raw_index": 7,
    "index": 8,
    "seed": "x",
    "openai_fingerprint": "f",
    "problem": "Double a number.",
    "solution": f"Here it is:\n\n```python\n{TWICE}```\nIt doubles.",
}
LCB = {
    "question_title": "Twice",
    "question_content": "Double the number.\n",
    "platform": "made",
    "question_id": "903",
    "contest_date": "2026-01-01T00:00:00",
    "starter_code": "",
    "difficulty": "easy",
    "public_test_cases": STDIN,
    "private_test_cases": STDIN,
    "metadata": "{}",
}
LCB_CALLS = LCB | {
    "starter_code": STARTER,
    "public_test_cases": CALLED,
    "private_test_cases": "eJxrYJlawAABAAk0Ag8=",
    "metadata": '{"func_name": "twice"}',
}
PLAIN = {"prompt": "Double a number.", "solution": TWICE, "test": "\n".join(ASSERTS), "tag": "kept"}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def one(tmp_path: Path, row: dict, **options) -> tuple[Problem | LeftOut, str]:
    file = read_problems(write(tmp_path / "rows.jsonl", row), **options)
    (found,) = file
    return found, file.data_set


@pytest.mark.parametrize(
    ("row", "data_set", "id", "kind", "count"),
    [
        (HUMAN_EVAL, "human_eval", "HumanEval/900", "asserts", 1),
        (MBPP, "mbpp", "mbpp/901", "asserts", 2),
        (SANITIZED, "mbpp", "mbpp/902", "asserts", 2),
        (KODCODE_OLD, "kodcode", "Made_1_I", "pytest", 1),
        (KODCODE_NEW, "kodcode", "Made_2_I", "pytest", 1),
        (KODCODE_NEW | {"test_info": None}, "kodcode", "Made_2_I", "pytest", 1),
        (SFT, "kodcode", "Made_3_I", "pytest", 1),
        (OCI, "open_code_instruct", "a1", "asserts", 2),
        (OCI | {"unit_tests": "\n".join(ASSERTS)}, "open_code_instruct", "a1", "asserts", 2),
        (PLAIN | {"id": "p"}, "plain", "p", "asserts", 2),
        (PLAIN | {"id": "p", "test": None, "label": FILE}, "plain", "p", "pytest", 1),
    ],
)
def test_a_row_is_told_by_its_fields_and_becomes_a_problem_with_its_tests(
    tmp_path, row, data_set, id, kind, count
) -> None:
    problem, told = one(tmp_path, row)
    assert isinstance(problem, Problem), problem
    assert (told, problem.id, problem.suite.kind.value, len(problem.suite.tests)) == (data_set, id, kind, count)
    assert problem.solution.endswith("return n * 2\n")
    assert "\r" not in problem.solution
    if data_set != "plain":
        assert (problem.entry_point, problem.suite.entry_point) == ("twice", "twice")
        assert "twice" in problem.problem
        assert problem.metadata["data_set"] == data_set
        assert "not_read" not in problem.metadata
    if kind == "asserts":
        exec(f"{problem.solution}\n{problem.test}", {})
    else:
        assert problem.test is None, "a file for pytest cannot run behind the program"


def test_a_statement_that_does_not_name_the_function_is_told_to(tmp_path: Path) -> None:
    assert one(tmp_path, MBPP)[0].problem == f"{MBPP['text']}\n\nThe tests call it by the name `twice`."
    assert one(tmp_path, KODCODE_OLD)[0].problem == KODCODE_OLD["question"]


def test_mbpp_adds_its_challenge_tests_on_demand_and_only_it(tmp_path: Path) -> None:
    assert len(one(tmp_path, MBPP, challenge=True)[0].suite.tests) == 3
    assert one(tmp_path, SANITIZED, challenge=True)[0].suite.setup == "import math"
    with pytest.raises(CodermError, match="only mbpp has challenge tests"):
        one(tmp_path, OCI, challenge=True)


def test_what_a_data_set_says_of_a_problem_is_kept_as_metadata(tmp_path: Path) -> None:
    old, sft, oci = (one(tmp_path, row)[0].metadata for row in (KODCODE_OLD, SFT, OCI))
    assert old == {"data_set": "kodcode", "style": "instruct", "subset": "Made", "gpt_pass_percentage": 0.5}
    assert (sft["style"], sft["r1_correctness"]) == ("online_judge", "True")
    assert oci["average_test_score"] == 1.0
    assert one(tmp_path, PLAIN)[0].metadata == {"tag": "kept"}


def test_magicoder_keeps_python_only_and_takes_the_program_out_of_its_prose(tmp_path: Path) -> None:
    file = read_problems(write(tmp_path / "rows.jsonl", MAGICODER, MAGICODER | {"lang": "rust"}))
    good, rust = file
    assert (good.id, good.solution, good.suite, good.test) == ("magicoder/7", TWICE, None, None)
    assert rust.fault is Fault.NOT_PYTHON
    assert "lang is 'rust'" in str(rust)
    assert file.left_out == {Fault.NOT_PYTHON: 1}


def test_live_code_bench_reads_programs_and_calls_and_counts_what_is_pickled(tmp_path: Path) -> None:
    file = read_problems(write(tmp_path / "rows.jsonl", LCB, LCB_CALLS))
    stdin, calls = file
    assert (stdin.suite.kind, len(stdin.suite.cases), stdin.entry_point) == (SuiteKind.STDIO, 2, None)
    assert "standard input" in stdin.problem
    assert (calls.suite.kind, len(calls.suite.cases), calls.entry_point) == (SuiteKind.CALLS, 1, "twice")
    assert STARTER in calls.problem
    assert file.not_read == {"private tests: pickled, which is not read": 1}


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    import base64
    import pickle
    import zlib

    canary = tmp_path / "canary"
    payload = base64.b64encode(zlib.compress(pickle.dumps(_Touch(canary)))).decode()
    assert isinstance(one(tmp_path, LCB | {"private_test_cases": payload})[0], Problem)
    assert not canary.exists()
    pickle.loads(zlib.decompress(base64.b64decode(payload)))  # noqa: S301 - ours: shows that it would have run
    assert canary.exists()


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("row", "fault", "said"),
    [
        (HUMAN_EVAL | {"test": ""}, Fault.NO_TESTS, "no tests"),
        (HUMAN_EVAL | {"entry_point": None}, Fault.BAD_FIELD, "`entry_point` is to be text, found nothing"),
        (HUMAN_EVAL | {"task_id": True}, Fault.BAD_FIELD, "`task_id` is to name the row, found bool"),
        (MBPP | {"test_list": []}, Fault.NO_TESTS, "no tests"),
        (MBPP | {"test_list": "assert twice(3) == 6"}, Fault.BAD_FIELD, "`test_list` is to be a list, found str"),
        (MBPP | {"test_list": ["assert twice("]}, Fault.UNREADABLE_TESTS, "no Python"),
        (MBPP | {"text": "  "}, Fault.BAD_FIELD, "`text` or `prompt` is to be text, found blank text"),
        (KODCODE_OLD | {"test_code": "twice = 3"}, Fault.NO_TESTS, "no function test_"),
        (KODCODE_OLD | {"test_code": None}, Fault.NO_TESTS, "no tests"),
        (KODCODE_NEW | {"test": "def test_a(:"}, Fault.UNREADABLE_TESTS, "no Python"),
        (KODCODE_NEW | {"test": [1]}, Fault.UNREADABLE_TESTS, "found list"),
        (KODCODE_NEW | {"question": 5}, Fault.BAD_FIELD, "`question` is to be text, found int"),
        (OCI | {"unit_tests": ""}, Fault.NO_TESTS, "no tests"),
        (OCI | {"unit_tests": "[]"}, Fault.NO_TESTS, "no assertion"),
        (OCI | {"unit_tests": "call it with 3"}, Fault.UNREADABLE_TESTS, "no Python"),
        (OCI | {"unit_tests": "['assert twice(3) == 6']"}, Fault.NO_TESTS, "no assertion"),
        (OCI | {"unit_tests": '[["assert twice(3) == 6"]]'}, Fault.UNREADABLE_TESTS, "found list"),
        (MAGICODER | {"problem": None}, Fault.BAD_FIELD, "`problem`"),
        (LCB | {"public_test_cases": "", "private_test_cases": "[]"}, Fault.NO_TESTS, "no test cases"),
        (LCB | {"private_test_cases": "[{"}, Fault.UNREADABLE_TESTS, "no JSON"),
        (LCB_CALLS | {"metadata": "broken"}, Fault.UNREADABLE_TESTS, "entry_point"),
        (PLAIN | {"prompt": [{"role": "user"}]}, Fault.BAD_FIELD, "found list"),
        (PLAIN | {"test": "print(1)"}, Fault.NO_TESTS, "no assertion"),
        (PLAIN | {"entry_point": 5}, Fault.BAD_FIELD, "entry_point"),
        (PLAIN | {"schema_version": 9}, Fault.BAD_FIELD, "schema_version"),
        (PLAIN | {"tag": "x\ud800"}, Fault.NOT_WRITABLE, "surrogates"),
        (PLAIN | {"prompt": "x\udfff"}, Fault.NOT_WRITABLE, "surrogates"),
    ],
)
def test_a_bad_row_is_left_out_with_its_place_and_its_fault(tmp_path: Path, row, fault: Fault, said: str) -> None:
    found, _ = one(tmp_path, row)
    assert isinstance(found, LeftOut), found
    assert found.fault is fault
    assert str(found).startswith(f"{tmp_path / 'rows.jsonl'}:1: ")
    assert said in str(found)


def test_lines_that_are_no_rows_cost_no_neighbour(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = json.dumps(PLAIN).encode()
    bad = [b"[1]", b"\xff\xfe", b"[" * 100_000, b"7" * 10_000, b'{"prompt": "half']
    path.write_bytes(b"\n\n".join([good, *bad[:-1], good, bad[-1]]))
    file = read_problems(path)
    rows = list(file)
    assert [type(row) for row in rows] == [Problem, *[LeftOut] * 4, Problem, LeftOut]
    assert rows[-1].line == 13
    assert (file.problems, file.left_out) == (2, Counter({Fault.NOT_A_ROW: 5}))
    assert len(list(file)) == 7
    assert file.problems == 2, "a second pass counts anew"


def test_a_line_of_five_megabytes_is_read_or_refused_within_seconds(tmp_path: Path) -> None:
    long = PLAIN | {"prompt": "x" * 5_000_000}
    tests = PLAIN | {"test": f"assert twice('{'x' * 5_000_000}')"}
    deep = PLAIN | {"test": f"assert twice({'-' * 1_000_000}1)"}
    start = time.monotonic()
    kinds = [type(row) for row in read_problems(write(tmp_path / "rows.jsonl", long, tests, deep, PLAIN))]
    assert kinds == [Problem, Problem, LeftOut, Problem]
    assert time.monotonic() - start < 20


def test_a_file_of_another_kind_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CodermError, match="fields answer, question"):
        read_problems(write(tmp_path / "other.jsonl", {"question": "?", "answer": "!"}))
    with pytest.raises(CodermError, match="holds no row"):
        read_problems(write(tmp_path / "empty.jsonl"))
    with pytest.raises(CodermError, match="is packed"):
        read_problems(tmp_path / "rows.jsonl.gz")
    with pytest.raises(FileNotFoundError):
        read_problems(tmp_path / "nowhere.jsonl")


def test_a_named_data_set_is_not_guessed_again(tmp_path: Path) -> None:
    found, told = one(tmp_path, MAGICODER, data_set="plain")
    assert (told, found.metadata["lang"]) == ("plain", "python")
    assert one(tmp_path, PLAIN, data_set="mbpp")[0].fault is Fault.BAD_FIELD


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(CodermError, match="pip install pyarrow"):
        read_problems(tmp_path / "rows.parquet")
    with pytest.raises(FileNotFoundError):
        read_problems(tmp_path / "nowhere.parquet")


@pytest.mark.torch
def test_parquet_gives_what_jsonl_gives(tmp_path: Path) -> None:
    """pyarrow comes with the test extra (by trl), not with the core."""
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    rows = [KODCODE_NEW, KODCODE_NEW | {"test_info": None}, KODCODE_NEW | {"test": None}]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    columnar, lines = read_problems(tmp_path / "rows.parquet"), read_problems(write(tmp_path / "rows.jsonl", *rows))
    assert [row for row in columnar if isinstance(row, Problem)] == [row for row in lines if isinstance(row, Problem)]
    assert columnar.left_out == lines.left_out == {Fault.NO_TESTS: 1}
    whole = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "rows.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CodermError, match="pyarrow cannot read it"):
        read_problems(tmp_path / "rows.parquet")


def test_the_command_writes_what_can_be_read_again_and_says_what_it_left_out(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", LCB, LCB_CALLS, LCB | {"public_test_cases": "x"}, [])
    result = coderm("data", "problems", source, tmp_path / "new" / "out.jsonl")
    assert result.returncode == 0, result.stderr
    assert "2 problems of live_code_bench" in result.stdout
    for line in (
        f"left out: {source}:3: the test cases are no JSON",
        "1 rows left out: tests that could not be read",
        "1 rows left out: not a JSON object",
        "1 problems without private tests: pickled, which is not read",
    ):
        assert line in result.stderr
    written = list(read_jsonl(tmp_path / "new" / "out.jsonl", Problem))
    assert written == [row for row in read_problems(source) if isinstance(row, Problem)]
    assert written == list(read_problems(tmp_path / "new" / "out.jsonl"))
    again = coderm("data", "problems", source, tmp_path / "new" / "out.jsonl", "--dataset", "live_code_bench")
    assert again.returncode == 1
    assert "exists; name another file" in again.stderr


def test_the_command_fails_and_writes_nothing_where_no_row_is_a_problem(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", *[KODCODE_OLD | {"test_code": ""}] * 12)
    result = coderm("data", "problems", source, tmp_path / "out.jsonl", "--dataset", "kodcode")
    assert result.returncode == 1
    assert "12 rows left out: no tests" in result.stderr
    assert result.stderr.count("left out: /") == 10
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_every_human_eval_problem_has_a_suite_of_one_test() -> None:
    for problem in human_eval():
        assert problem.suite.tests == (f"check({problem.entry_point})",)
        assert problem.suite.entry_point == problem.entry_point


@pytest.mark.parametrize(
    ("name", "data_set", "rows", "tests"),
    [
        ("humaneval", "human_eval", 164, 164),
        ("mbpp", "plain", 974, None),
        ("mbpp_mutants_pairs", "plain", 5409, None),
        ("humaneval_mutants_pairs", "plain", 619, 619),
    ],
)
def test_real_files_are_read_whole(name: str, data_set: str, rows: int, tests: int | None) -> None:
    folder = os.environ.get("CODERM_DATA")
    if not folder:
        pytest.skip("CODERM_DATA names no folder")
    file = read_problems(Path(folder) / f"{name}.jsonl")
    problems = list(file)
    assert (file.data_set, file.problems, file.left_out) == (data_set, rows, {})
    asserts = sum(problem.test.count("\nassert ") + problem.test.startswith("assert ") for problem in problems)
    assert sum(len(problem.suite.tests) for problem in problems) == (tests or asserts)
