"""Broken variants of a right program that are wrong by argument: nothing is run, so no sandbox is needed.

What each kind proves, given that the solution passes the problem's own test (see `expected` for what is read of it):

- `result`: at an asserted call the variant returns another value than the right one. Without a test, that it returns
  another value at every call that returns a bool, int or float as annotated.
- `other_problem`: at an asserted call the variant returns a value that cannot equal the asserted one, or raises.
- `stub`: at an asserted call the value returned (None, an empty value, the first argument) is not the asserted one.

None proves anything where a statement allows several answers and the test asserts just one of them. All are cruder
than what models get wrong: a reward model trained on these alone learns to see crude mistakes.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from coderm_slime.mutate.expected import Expected, expected
from coderm_slime.mutate.functions import plain_function, plain_parameters
from coderm_slime.mutate.other import with_body_of
from coderm_slime.mutate.result import wrong_results
from coderm_slime.pycode import Edit, Places, edited, without_comments, without_docstrings
from coderm_slime.records import Problem

PER_KIND = {"result": 2, "other_problem": 2, "stub": 1}  # stubs are the easiest to tell
MAX_DONORS = 200  # tried for one problem: a few dozen yield two bodies, and many problems stay quick


@dataclass(frozen=True)
class Broken:
    """A wrong program and how it came about: `result`, `other_problem` or `stub`."""

    program: str
    kind: str


@lru_cache(maxsize=1024)  # every problem is a donor to all others
def bare(program: str) -> str:
    """`program` without docstrings and comments: the form in which a program and its variants are comparable.

    Raises:
        SourceError: it does not parse.
    """
    return without_comments(without_docstrings(program)).strip() + "\n"


def broken_by_construction(problem: Problem, others: Sequence[Problem], seed: int = 0) -> list[Broken]:
    """At most `PER_KIND` variants of the problem's bare solution, the same ones for the same arguments.

    Args:
        others: problems whose solutions lend their bodies; `problem` itself may be among them.

    Raises:
        SourceError: a solution or the problem's test does not parse.
    """
    if problem.solution is None or problem.entry_point is None:
        return []
    program, name, calls = bare(problem.solution), problem.entry_point, expected(problem)
    rng = random.Random(f"{seed} {problem.id}")
    results, stubs = wrong_results(program, name, calls), sorted(_stubs(program, name, calls))
    rng.shuffle(results)
    rng.shuffle(stubs)
    donors = rng.sample(others, min(len(others), MAX_DONORS)) if calls else []
    kinds: dict[str, Iterable[str]] = {
        "result": results,
        "other_problem": _with_bodies_of(donors, program, name, calls),
        "stub": stubs,
    }
    return [Broken(text, kind) for kind, variants in kinds.items() for text in islice(variants, PER_KIND[kind])]


def _with_bodies_of(donors: list[Problem], program: str, name: str, calls: list[Expected]) -> Iterator[str]:
    for donor in donors:
        if donor.solution is not None and donor.entry_point is not None:
            variant = with_body_of(program, name, calls, bare(donor.solution), donor.entry_point)
            if variant is not None:
                yield variant


def _stubs(program: str, name: str, calls: list[Expected]) -> Iterator[str]:
    function = plain_function(program, name)
    if function is None:
        return
    places = Places(program)
    start, end = places.span(function.body[0])[0], places.span(function)[1]
    for value in _not_returned(plain_parameters(function), calls):
        yield edited(program, [Edit(start, end, value if value == "pass" else f"return {value}")])


def _not_returned(parameters: list[str] | None, calls: list[Expected]) -> Iterator[str]:
    """What the function might say in place of its work, and what some call must not return."""
    results = [call.result for call in calls]
    if any(result is not None for result in results):
        yield from ("pass", "None")
    for text, empty in {"False": False, "0": 0, '""': "", "[]": [], "{}": {}}.items():
        if any(type(result) is type(empty) and result != empty for result in results):
            yield text
    if parameters and any(call.args and call.args[0] != call.result for call in calls):
        yield parameters[0]
