"""Every exported prefix of real programs ends where a statement ends, as the one who wrote the response knows it.

The check shares nothing with the exporter: it has the program's lines, how each stands in the response, and `ast`'s
word on which lines end a statement.
"""

import os
from collections import defaultdict
from pathlib import Path

import pytest

from coderm_slime.problems import human_eval, read_problems, starter_problems
from coderm_slime.pycode import parses, program_in
from coderm_slime.records import Problem, ScalarExample, append_jsonl, read_jsonl
from helpers.dressed import Dressed, dress, simple_statement_ends
from helpers.searches import evaluation_of
from mcts.config import SearchConfig
from mcts.export import PAPER, export
from mcts.search import Grown, Search


def check_prefixes(programs: list[str], folder: Path) -> int:
    """Search each program's one path, export all trees, check every prefix; how many there were."""
    dressed = {f"p{number}": dress(program, number) for number, program in enumerate(programs)}
    trees = []
    for name, made in dressed.items():
        search = Search(SearchConfig(num_rollouts=1), 0)
        search.issue()
        search.apply(Grown(program_in(made.response), evaluation_of(0, 0.6)))
        trees.append(search.record(Problem(id=name, problem=f"{name} is to be written"), "", {}))
    append_jsonl(folder / "trees.jsonl", trees)
    counts = export([folder / "trees.jsonl"], folder / "data", PAPER)
    assert not counts.unusable
    prefixes = defaultdict(list)
    for path in (folder / "data").glob("scalar-*.jsonl"):
        for row in read_jsonl(path, ScalarExample):
            prefixes[row.metadata["problem_id"]].append(row.response)
    for tree in trees:
        assert len(prefixes[tree.problem.id]) == len(tree.nodes) - 1
        check_one(dressed[tree.problem.id], prefixes[tree.problem.id], [node.segment for node in tree.nodes[1:]])
    return sum(map(len, prefixes.values()))


def check_one(made: Dressed, prefixes: list[str], segments: list[str]) -> None:
    ends, lines, after = simple_statement_ends(made.code), made.code.split("\n"), 0
    for prefix, segment in zip(prefixes, segments, strict=True):
        matching = [row for row in ends if made.head + made.up_to(row).rstrip() == prefix]
        assert len(matching) == 1, prefix
        assert segment == "".join(f"{line}\n" for line in lines[after : matching[0]]), "no statement lost or doubled"
        assert made.response.startswith(prefix)
        after = matching[0]
    assert not any(line.strip() and not line.strip().startswith("#") for line in lines[after:]), "the last is the end"


def test_every_prefix_of_real_programs_ends_with_its_statement(tmp_path: Path) -> None:
    starters = [program for problem in starter_problems() for program in (problem.solution, *problem.wrong)]
    programs = [problem.solution for problem in human_eval()] + starters
    assert len(programs) > 300
    assert all(parses(dress(program, number).code) for number, program in enumerate(programs))
    assert check_prefixes(programs, tmp_path) > 1000


def test_every_prefix_of_mbpp_ends_with_its_statement(tmp_path: Path) -> None:
    folder = os.environ.get("CODERM_DATA")
    if not folder:
        pytest.skip("CODERM_DATA names no folder")
    programs = [problem.solution for problem in read_problems(Path(folder) / "mbpp.jsonl")]
    programs = [program for program in programs if parses(program)]
    assert len(programs) > 900
    assert check_prefixes(programs, tmp_path) > 3000


def test_the_dress_holds_what_makes_prefixes_go_wrong() -> None:
    dressed = [dress(problem.solution, number) for number, problem in enumerate(human_eval())]
    responses = [made.response for made in dressed]
    for what in ("\r\n", "\n\t", "   ```python", "'''first", "# print(x)", "#fff", "~~~python", "````py"):
        assert sum(what in response for response in responses) >= 5, what
    repeated = [line for made in dressed for line in made.code.split("\n") if line.strip().startswith("# return ")]
    assert len(repeated) > 20, "comments that repeat the statement below them"


def test_the_check_sees_a_prefix_that_is_cut_at_a_comment() -> None:
    made = Dressed("x = 1\n# print(x)\nprint(x)", "```python\n", str, "\n", "\n```")
    check_one(made, ["```python\nx = 1\n# print(x)\nprint(x)"], ["x = 1\n# print(x)\nprint(x)\n"])
    with pytest.raises(AssertionError):
        check_one(made, ["```python\nx = 1\n# print(x)"], ["x = 1\n# print(x)\nprint(x)\n"])
