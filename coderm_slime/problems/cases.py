"""LiveCodeBench's tests: inputs and outputs of whole programs (stdin) or of a function's calls (functional).

Its private tests are JSON in some files and a pickle, compressed and in base64, in others. A pickle can run any
program when it is read, so it is not read: the suite then holds the public tests alone and says so in its metadata.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pydantic import ValidationError

from coderm_slime.problems.faults import Fault, ProblemError, shown
from coderm_slime.records import Case, Suite, SuiteKind

PICKLED = "private tests: pickled, which is not read"
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{4,}=*")  # no JSON list: it has no bracket
_KINDS = {"stdin": SuiteKind.STDIO, "functional": SuiteKind.CALLS}


def suite_of_live_code_bench(row: Mapping[str, Any]) -> Suite:
    """The suite of a row of code_generation_lite; `metadata["not_read"]` names what it leaves out.

    Raises:
        ProblemError: there are no tests but pickled ones, or they are not as the data set's description says.
    """
    public = _parsed(row.get("public_test_cases") or "[]")
    private, pickled = _private(row.get("private_test_cases") or "[]")
    entry_point = row.get("entry_point") or _func_name(row.get("metadata"))
    return suite_of_cases([*public, *private], entry_point, not_read=[PICKLED] if pickled else [])


def suite_of_cases(rows: Sequence[Any], entry_point: str | None = None, not_read: Sequence[str] = ()) -> Suite:
    """The suite of rows {input, output, testtype}, which is stdin where it is not said.

    A functional input holds one JSON value a line, each an argument; the output is one JSON value.

    Raises:
        ProblemError: there are none, or one is not of that form, or they are of two types.
    """
    if not rows:
        raise ProblemError(Fault.NO_TESTS, "; ".join(["no test cases", *not_read]))
    if not all(isinstance(row, Mapping) for row in rows):
        raise ProblemError(Fault.UNREADABLE_TESTS, "a test case is no JSON object")
    types = {str(row.get("testtype", "stdin")) for row in rows}
    kind = _KINDS.get(types.pop()) if len(types) == 1 else None
    if kind is None:
        raise ProblemError(Fault.UNREADABLE_TESTS, f"testtype is all of {' or all of '.join(_KINDS)}")
    try:
        return Suite(
            kind=kind,
            entry_point=entry_point,
            cases=tuple(_case(row, kind) for row in rows),
            metadata={"not_read": list(not_read)} if not_read else {},
        )
    except ValidationError as error:
        raise ProblemError(Fault.UNREADABLE_TESTS, shown(error)) from error


def strict_json(text: str) -> Any:
    """The JSON value in `text`.

    Raises:
        ValueError: it is none, is nested too deeply, or holds NaN or an infinity, which JSON has not.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _case(row: Mapping[str, Any], kind: SuiteKind) -> Case:
    case = Case.model_validate({"input": row.get("input"), "output": row.get("output")})
    if kind is SuiteKind.STDIO:
        return case
    try:
        arguments = [strict_json(line) for line in case.input.split("\n") if line.strip()]
        texts = [json.dumps(value, allow_nan=False) for value in (arguments, strict_json(case.output))]
        return Case(input=texts[0], output=texts[1])
    except (ValueError, RecursionError) as error:
        raise ProblemError(Fault.UNREADABLE_TESTS, f"a functional case is no JSON: {error}") from error


def _parsed(value: Any) -> list[Any]:
    try:
        rows = strict_json(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ProblemError(Fault.UNREADABLE_TESTS, f"the test cases are no JSON: {error}") from error
    if not isinstance(rows, list):
        raise ProblemError(Fault.UNREADABLE_TESTS, f"test cases are a JSON list, found {type(rows).__name__}")
    return rows


def _private(value: Any) -> tuple[list[Any], bool]:
    """The private cases, and whether they are there but pickled."""
    if isinstance(value, str) and _BASE64.fullmatch(value.rstrip()):
        return [], True
    return _parsed(value), False


def _func_name(metadata: Any) -> str | None:
    """`func_name` in the JSON text (or object) `metadata`; stdin problems have none."""
    try:
        named = strict_json(metadata) if isinstance(metadata, str) else metadata
    except ValueError:
        return None  # a functional suite then lacks its entry point, and says so
    name = named.get("func_name") if isinstance(named, Mapping) else None
    return name if isinstance(name, str) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
