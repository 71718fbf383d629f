"""What crosses between the tests and the answer: values, references, exceptions, streams. Each row must pass."""

import pytest

from coderm_slime.testing import SuiteReport
from helpers.suites import asserts, run_all, table

ECHO = "def f(x):\n    return x\n"
VALUES = r"""None | True | 0 | -1 | 2**62 | -2**70 | 1.5 | -0.0 | float('inf') | 1+2j | '' | 'ä€😀' | '\ud800'
'\ud83d' + '\ude00' | b'\x00\xff' | bytearray(b'ab') | [] | [1, [2, [3]]] | (1, (2,)) | {} | {'a': {1: [2]}}
{(1, 2): 3} | set() | {1, 'a', (2, 3)} | frozenset({1, 2}) | {frozenset({1})}
{12, 13, 14, 15, 16} | range(1, 10, 3) | slice(1, None, 2)
... | deque([1, 2], maxlen=3) | Counter('aab') | defaultdict(list, {'a': [1]}) | OrderedDict([('b', 1), ('a', 2)])
Decimal('1.10') | Fraction(1, 3) | date(2024, 2, 29) | datetime(2024, 1, 1, 12, tzinfo=timezone.utc) | time(1, 2, 3, 4)
timedelta(days=-1, microseconds=5) | timezone(timedelta(hours=2)) | Path('a/b') | PurePosixPath('c') | int | ValueError
NotImplemented | array('d', [1.5, 2.5]) | [None, True, 1, 1.0, '1', b'1'] | [[]] * 3 | list(range(1000))
{'x': (1, [2, {3}])} | [float('-inf'), 10**30] | 'line\n\x00'"""
IMPORTS = """from array import array
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
"""
SAME = """sent = {0}
got = f(sent)
assert type(got) is type(sent), type(got)
assert got == sent and repr(got) == repr(sent)
"""
ROWS = {row["name"]: (row["program"], row["test"]) for row in table("crossings.yaml")}
for _number, _value in enumerate(part.strip() for line in VALUES.splitlines() for part in line.split(" | ")):
    ROWS[f"value {_number}: {_value}"] = (ECHO, SAME.format(_value))


@pytest.fixture(scope="module")
def reports() -> dict[str, SuiteReport]:
    return run_all({name: (program, asserts(test, setup=IMPORTS)) for name, (program, test) in ROWS.items()})


@pytest.mark.parametrize("name", ROWS)
def test_what_crosses_means_the_same_on_both_sides(name: str, reports: dict[str, SuiteReport]) -> None:
    report = reports[name]
    assert report.error is None and report.passed, report.error or report.tests[0].detail
