"""The suite of any row that carries tests: a data set's, or the `metadata` and `label` of a slime sample."""

from collections.abc import Mapping, Sized
from typing import Any

from pydantic import ValidationError

from coderm_slime.problems.cases import strict_json, suite_of_cases, suite_of_live_code_bench
from coderm_slime.problems.faults import Fault, ProblemError, shown
from coderm_slime.problems.suites import pytest_suite, suite_of_code
from coderm_slime.records import Suite

_PLAIN_FIELDS = ("unit_tests", "tests", "test")


def suite_of_row(row: Mapping[str, Any]) -> Suite:
    """The suite in `row`. The first of these that is there and not empty decides; what follows is not looked at:

    1. `suite`: a `Suite`, or its JSON;
    2. `test_code`, or `test` beside `test_info`: a pytest file (KodCode);
    3. `test_list`, after `test_setup_code` or `test_imports` (MBPP);
    4. `public_test_cases` or `private_test_cases` (LiveCodeBench);
    5. `unit_tests`, `tests`, `test` (OpenCodeInstruct, HumanEval): see below;
    6. `label`: see below, or a row with any of the fields above.

    A value of 5 or 6 is test code (see `suite_of_code`), a list of pieces of it, a list of {input, output, testtype},
    a suite, or the JSON text of one of these. The name that the tests call is `entry_point`, `test_entry_point` or
    `test_info[0].function_name`; a suite of its own has its own.

    Raises:
        ProblemError: nothing of this is there, or what decides cannot be read as tests.
    """
    label = _unpacked(row.get("label"))
    if (suite := _suite_of_fields(row)) is not None:
        return suite
    if isinstance(label, Mapping) and "kind" not in label:
        suite = _suite_of_fields({"entry_point": entry_point_of(row), **label})
    elif not _empty(label):
        suite = _suite_of_value(label, entry_point_of(row))
    if suite is None:
        raise ProblemError(Fault.NO_TESTS, f"no tests in the fields {', '.join(sorted(map(str, row))) or '(none)'}")
    return suite


def holds_tests(row: Mapping[str, Any]) -> bool:
    """Whether `suite_of_row` would find something to read."""
    fields = ("suite", "test_code", "test_list", "public_test_cases", "private_test_cases", *_PLAIN_FIELDS, "label")
    return any(not _empty(row.get(field)) for field in fields)


def entry_point_of(row: Mapping[str, Any]) -> str | None:
    """The name that the row's tests call, wherever its data set keeps it."""
    infos = row.get("test_info")
    info = infos[0] if isinstance(infos, list) and infos else infos
    named = info.get("function_name") if isinstance(info, Mapping) else None
    found = row.get("entry_point") or row.get("test_entry_point") or named
    return found if isinstance(found, str) else None


def _suite_of_fields(row: Mapping[str, Any]) -> Suite | None:
    entry_point = entry_point_of(row)
    if not _empty(suite := row.get("suite")):
        return _suite_of_value(suite, entry_point)
    file = row.get("test_code") or (row.get("test") if "test_info" in row else None)
    if not _empty(file):
        return pytest_suite(_text(file), entry_point)
    if not _empty(asserts := row.get("test_list")):
        return suite_of_code("\n".join([*_preparation(row), *_texts(asserts)]), entry_point)
    if not (_empty(row.get("public_test_cases")) and _empty(row.get("private_test_cases"))):
        return suite_of_live_code_bench(row)
    plain = next((row[field] for field in _PLAIN_FIELDS if not _empty(row.get(field))), None)
    return None if plain is None else _suite_of_value(plain, entry_point)


def _suite_of_value(value: Any, entry_point: str | None) -> Suite:
    value = _unpacked(value)
    if isinstance(value, Suite):
        return value
    if isinstance(value, Mapping):
        return _validated(value)
    if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        return suite_of_cases(value, entry_point)
    return suite_of_code(value if isinstance(value, str) else "\n".join(_texts(value)), entry_point)


def _validated(value: Mapping[str, Any]) -> Suite:
    try:
        return Suite.model_validate(dict(value))
    except ValidationError as error:
        raise ProblemError(Fault.UNREADABLE_TESTS, f"the suite's {shown(error)}") from error


def _unpacked(value: Any) -> Any:
    """`value`, or what it is the JSON text of; test code may well start with a bracket, too."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return strict_json(value)
    except ValueError:
        return value


def _preparation(row: Mapping[str, Any]) -> list[str]:
    imports = row.get("test_imports")
    return [*(_texts(imports) if imports else []), _text(row.get("test_setup_code") or "")]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ProblemError(Fault.UNREADABLE_TESTS, f"tests are text or a list of texts, found {type(value).__name__}")
    return [_text(item) for item in value]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ProblemError(Fault.UNREADABLE_TESTS, f"test code is text, found {type(value).__name__}")
    return value


def _empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, Sized) and len(value) == 0)
