"""Problems for the FAKE endpoint, and programs for them: of every prefix there are several continuations."""

import re

from coderm_slime.records import Problem

_LINES = """
def solve_{number}(values):
    total = {a}
    print("total", total)
    for value in values:
        step = value * {b} + {c}
        print("step", step)
        total += step
        print("total", total)
    limit = {d} * len(values)
    print("limit", limit)
    if total > limit:
        print("total > limit", True)
        total -= limit
        print("total", total)
    result = total % {e}
    print("result", result)
    return result
""".strip().split("\n")
_NAME = re.compile(r"solve_(\d+)")
_CHOICES = 3  # of each constant: few, so that continuations meet now and then


def scripted_problem(number: int) -> Problem:
    """Problem `number`, with a solution that prints."""
    name = f"solve_{number}"
    text = (
        f"Write a function {name}(values) that adds up a list of whole numbers, each first scaled and shifted, takes "
        f"off a limit that grows with the length of the list where the sum is above it, and gives the rest modulo a "
        f"small number. The list may be empty. This is task {number} of its kind."
    )
    return Problem(id=f"scripted/{number}", problem=text, entry_point=name, solution=program(number, 0))


def number_in(text: str) -> int:
    """The number of the problem that `text` speaks of."""
    found = _NAME.search(text)
    return int(found[1]) if found else 0


def program(number: int, choice: int, prefix: str = "") -> str:
    """A program for problem `number`; `choice` picks its constants. It begins with `prefix` if that is part of one."""
    picks = {name: 1 + (choice // _CHOICES**place) % _CHOICES for place, name in enumerate("abcde")}
    lines = [line.format(number=number, **picks) for line in _LINES]
    settled = prefix.rstrip("\n").split("\n") if prefix else []
    if len(settled) >= len(lines):  # it was a whole program: an earlier one, shown for reflection
        settled = []
    return "\n".join([*settled, *lines[len(settled) :]]) + "\n"
