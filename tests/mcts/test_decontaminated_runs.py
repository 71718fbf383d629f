"""`coderm curate` takes no problem that an evaluation set holds, unless told to.

No model is asked: the stage is `rewrite`, and it is off.
"""

from pathlib import Path
from typing import Any

import pytest

from coderm_slime.problems import human_eval, starter_problems
from helpers.curation import config, rows, write_config
from helpers.processes import coderm
from mcts.engine.journal import Journal


@pytest.fixture
def begun(tmp_path: Path) -> Any:
    """Runs the command on two problems of HumanEval between two others."""
    starters, tests = starter_problems(), human_eval()
    source = tmp_path / "problems.jsonl"
    taken = [starters[0], tests[5], tests[6], starters[1]]
    source.write_text("".join(problem.model_dump_json(exclude={"wrong"}) + "\n" for problem in taken))
    file = write_config(tmp_path, config("http://127.0.0.1:9"))

    def begin(*options: object) -> tuple[Any, list[str]]:
        run = tmp_path / "run"
        result = coderm("curate", "rewrite", source, "--run", run, "--config", file, "--rewrite", "off", *options)
        with Journal(run, reading=True) as journal:
            return result, sorted(journal.open_keys())

    return begin


def keys(*problems: Any) -> list[str]:
    return sorted(problem.key for problem in problems)


def test_what_human_eval_holds_is_left_out_and_named(begun: Any, tmp_path: Path) -> None:
    result, open_keys = begun()
    assert result.returncode == 0, result.stderr
    assert "2 problems left out: an evaluation set holds them, see contaminated.jsonl" in result.stderr
    assert open_keys == keys(*starter_problems()[:2])
    dropped = rows(tmp_path / "run" / "contaminated.jsonl")
    assert [(row["id"], row["matches"], row["part"]) for row in dropped] == [
        ("HumanEval/5", "HumanEval/5", "statement"),
        ("HumanEval/6", "HumanEval/6", "statement"),
    ]


def test_the_limit_counts_what_is_taken(begun: Any) -> None:
    _, open_keys = begun("--limit", "2")
    assert open_keys == keys(*starter_problems()[:2])


def test_all_are_taken_if_told_so(begun: Any, tmp_path: Path) -> None:
    result, open_keys = begun("--no-decontaminate")
    assert result.returncode == 0, result.stderr
    assert open_keys == keys(*starter_problems()[:2], *human_eval()[5:7])
    assert rows(tmp_path / "run" / "contaminated.jsonl") == []


def test_another_evaluation_set_counts_as_well(begun: Any, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    more.write_text(starter_problems()[0].model_dump_json(exclude={"wrong"}) + "\n")
    _, open_keys = begun("--against", more)
    assert open_keys == keys(starter_problems()[1])
