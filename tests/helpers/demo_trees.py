"""Trees to look at: a real search over programs for one small task, by a FAKE model and a FAKE judge.

The programs are ours and are truly run; the model draws each step from a few that are right, wrong or clumsy.
"""

import contextlib
import io
import random
import statistics
import traceback

from coderm_slime.pycode import Program, program_in
from coderm_slime.records import Evaluation, Problem, SearchTree
from mcts.config import SearchConfig
from mcts.search import Evaluated, Failed, Grown, Outcome, Search, Task

PROBLEM = Problem(
    id="made/second-largest",
    problem="Write `second_largest(numbers)`. It returns the second largest of the distinct values in a list.\n\n"
    "Of fewer than two distinct values it returns None, e.g. `second_largest([3, 3])` is None & not 3.",
    entry_point="second_largest",
    solution="def second_largest(numbers):\n    distinct = sorted(set(numbers))\n"
    "    return distinct[-2] if len(distinct) > 1 else None\n",
)
CALLS = "\n".join(f"print(second_largest({case}))" for case in ("[4, 1, 7]", "[3, 3]", "[7, 7, 2]", "[]", "[-1, -5]"))
RIGHT = ["4", "None", "2", "None", "-5"]
STEPS = [
    [
        'def second_largest(numbers):\n    print("numbers:", numbers)\n',
        'def second_largest(numbers):\n    """The second of the distinct values."""\n    print("numbers:", numbers)\n',
        'def second_largest(numbers):\n    numbers = list(numbers)\n    print("numbers:", numbers)\n',
    ],
    [
        '    distinct = sorted(set(numbers))\n    print("distinct:", distinct)\n',
        '    # sorted, duplicates gone\n    distinct = sorted(numbers)\n    print("distinct:", distinct)\n',
        "    distinct = []\n    for number in numbers:\n        if number not in distinct:\n"
        '            distinct.append(number)\n    print("distinct:", distinct)\n    distinct.sort()\n',
        '    largest = max(numbers)\n    print("largest:", largest)\n'
        "    distinct = [n for n in numbers if n <= largest]\n",
    ],
    [
        '    enough = len(distinct) >= 2\n    print("len(distinct) >= 2:", enough)\n',
        '    enough = len(numbers) >= 2  # two are "enough" </code>\n    print("len(numbers) >= 2:", enough)\n',
    ],
    [
        '    answer = distinct[-2] if enough else None\n    print("answer:", answer)\n',
        '    answer = distinct[1] if enough else None\n    print("answer:", answer)\n',
        '    answer = None\n    if enough:\n        print("enough:", enough)\n        answer = sorted(distinct)[-2]\n',
    ],
    ["    return answer\n"],
]
WORDS = {
    2: "The program runs, but most calls print a wrong value.",
    3: "Simple lists come out right. Duplicates or an empty list do not: see the last value that each call prints.",
    4: "Every call prints the right value, duplicates and the empty list included.",
    5: "Every call prints the right value, and the trace shows one sort and one look-up: short and idiomatic.",
}


def demo_tree(schedule: str = "uct", rollouts: int = 24, seed: int = 14) -> SearchTree:
    """A finished tree."""
    search = Search(SearchConfig(schedule=schedule, num_rollouts=rollouts), seed)
    while (task := search.issue()) is not None:
        search.apply(_outcome(task, random.Random(f"{seed}/{task.rollout}")))
    provenance = {"prompts": "5d1c0a77", "model": "FAKE", "judge": "FAKE", "schedule": schedule}
    return search.record(PROBLEM, CALLS, provenance)


def _outcome(task: Task, draw: random.Random) -> Outcome:
    if task.action == "evaluate":
        return Evaluated(_graded(program_in(task.response or ""), task.rollout, draw))
    if task.rollout and draw.random() < 0.12:
        return Failed(draw.choice(["no_code", "length", "syntax_error"]))
    chosen = [draw.choice(step) for step in STEPS] if task.rollout else [step[-1] for step in STEPS]
    code = task.prefix or chosen[0]
    for step in chosen[1:]:
        if not _holds(code, step):
            code += step
    plan = "1. Take the distinct values.\n2. See whether there are two.\n3. Give the last but one.\n\n"
    program = program_in(f"{plan}```python\n{code}```\nThe prints show each value on the way.\n", task.ends)
    return Grown(program, _graded(program, task.rollout, draw))


def _holds(code: str, step: str) -> bool:
    """Whether `code` has the step of this kind already, in whatever form."""
    kinds = next(kinds for kinds in STEPS if step in kinds)
    return any(kind in code for kind in kinds)


def _graded(program: Program, rollout: int, draw: random.Random) -> Evaluation:
    output, ending = _run(program.code)
    right = [line for line in output.splitlines() if ": " not in line][: len(RIGHT)]
    share = sum(given == wanted for given, wanted in zip(right, RIGHT, strict=False)) / len(RIGHT)
    level = 5 if share == 1 and len(program.code) < 280 else 4 if share == 1 else 3 if share >= 0.4 else 2
    grades = [min(5.0, max(0.0, level + draw.choice([-0.5, 0, 0, 0.5]))) for _ in range(3)]
    grade = statistics.fmean(grades)
    return Evaluation(
        rollout=rollout,
        reward=grade / 5,
        grade=grade,
        spread=statistics.pstdev(grades),
        analysis=f"{WORDS[level]}\n\nOf {len(RIGHT)} calls {round(share * len(RIGHT))} are right.",
        output=output,
        ending=ending,
    )


def _run(code: str) -> tuple[str, str]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(code + CALLS, {})
        except (IndexError, NameError, TypeError, ValueError):  # what these steps can raise
            printed.write(traceback.format_exc(limit=0))
            return printed.getvalue(), "exception"
    return printed.getvalue(), "ok"
