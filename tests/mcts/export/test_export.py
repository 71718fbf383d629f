"""Trees to training files: one split, labels that agree, caps, balance; what is bad is counted and ends nothing."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from coderm_slime.errors import CodermError
from coderm_slime.records import PairExample, Problem, ScalarExample, SearchTree, append_jsonl, read_jsonl
from helpers.processes import coderm
from helpers.searches import FakeModel, run_search
from mcts.config import SearchConfig
from mcts.export import PAPER, ExportConfig, export
from mcts.export.balance import balanced, facts_of
from mcts.export.completions import Unusable
from mcts.export.split import split

SIDES = ("train", "validation")
WORDS = "river stone cloud paper lamp wheel garden copper thread winter signal harbour mirror basket engine"


def statement(number: int) -> str:
    """A statement that shares no phrase with the others'."""
    return f"Task {number}: " + " ".join(random.Random(number).choices(WORDS.split(), k=15))


def made_trees(count: int, rollouts: int = 10, first: int = 0) -> list[SearchTree]:
    trees = []
    for seed in range(first, first + count):
        config = SearchConfig(num_rollouts=rollouts, schedule="uct" if seed % 2 else "paper")
        search, _ = run_search(config, FakeModel(seed, labels="abcdef", longest=7))
        problem = Problem(id=f"made/{seed}", problem=statement(seed))
        trees.append(search.record(problem, "f()", {"prompts": "aa", "models": "bb"}))
    return trees


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("trees") / "trees.jsonl"
    append_jsonl(path, made_trees(40))
    return path


def rows(folder: Path, what: str, side: str) -> list:
    kind = ScalarExample if what == "scalar" else PairExample
    found = list(read_jsonl(folder / f"{what}-{side}.jsonl", kind))
    assert all(isinstance(row, kind) for row in found)
    return found


def all_rows(folder: Path, what: str) -> list:
    return [row for side in SIDES for row in rows(folder, what, side)]


@pytest.mark.parametrize("config", [ExportConfig(validation=0.2), PAPER], ids=["ours", "paper"])
def test_no_problem_is_on_both_sides_of_the_split_in_any_file(
    trees: Path, tmp_path: Path, config: ExportConfig
) -> None:
    export([trees], tmp_path / "data", config)
    ids = {
        side: {
            row.metadata["problem_id"] for what in ("scalar", "pairs") for row in rows(tmp_path / "data", what, side)
        }
        for side in SIDES
    }
    keys = {
        side: {row.key for what in ("scalar", "pairs") for row in rows(tmp_path / "data", what, side)}
        for side in SIDES
    }
    assert ids["validation"]
    assert not ids["train"] & ids["validation"]
    assert not keys["train"] & keys["validation"]
    assert len(ids["train"] | ids["validation"]) == 40


@pytest.mark.parametrize("config", [ExportConfig(), PAPER], ids=["ours", "paper"])
def test_scalar_rows_and_pairs_say_the_same_of_a_node_and_labels_are_exact(
    trees: Path, tmp_path: Path, config: ExportConfig
) -> None:
    export([trees], tmp_path / "data", config)
    nodes = {(fp, node.id): node for fp, tree in by_fingerprint(trees).items() for node in tree.nodes}
    texts = defaultdict(set)
    for row in all_rows(tmp_path / "data", "scalar"):
        node = nodes[row.metadata["tree"], row.metadata["node"]]
        assert (row.q, row.n) == (node.value, node.visits)
        assert row.label == min(node.value / node.visits, 1)
        texts[row.metadata["tree"], node.id].add(row.response)
    shared = missing = 0
    for pair in all_rows(tmp_path / "data", "pairs"):
        ends = zip(
            pair.metadata["nodes"],
            (pair.chosen, pair.rejected),
            (pair.chosen_label, pair.rejected_label),
            (pair.chosen_n, pair.rejected_n),
            strict=True,
        )
        for id_, text, label, visits in ends:
            node = nodes[pair.metadata["tree"], id_]
            assert (label, visits) == (min(node.value / node.visits, 1), node.visits)
            seen = texts[pair.metadata["tree"], id_]
            known = text in seen or (config is PAPER and any(text.startswith(other) for other in seen))
            shared, missing = shared + known, missing + (not known)
    assert shared > 300, "sides that the scalar file has, too (a leaf of the paper's is cut there)"
    assert config is not PAPER or missing == 0, "only caps keep a side out of the scalar file"


def by_fingerprint(path: Path) -> dict[str, SearchTree]:
    from mcts.export.examples import fingerprint

    return {fingerprint(tree): tree for tree in read_jsonl(path, SearchTree)}


def test_a_tree_of_200_nodes_does_not_outweigh_the_others(tmp_path: Path) -> None:
    (large,) = made_trees(1, rollouts=200, first=101)
    assert len(large.nodes) >= 200
    append_jsonl(tmp_path / "trees.jsonl", [large, *made_trees(40)])
    export([tmp_path / "trees.jsonl"], tmp_path / "data", ExportConfig())
    export([tmp_path / "trees.jsonl"], tmp_path / "paper", PAPER)
    for what, cap in (("scalar", 33), ("pairs", 12)):
        capped = Counter(row.metadata["problem_id"] for row in all_rows(tmp_path / "data", what))
        plain = Counter(row.metadata["problem_id"] for row in all_rows(tmp_path / "paper", what))
        assert plain[large.problem.id] > plain.total() / 10, "without a cap it does"
        assert capped[large.problem.id] <= cap
        assert capped[large.problem.id] < capped.total() / 25
    nodes = [
        row.metadata["node"]
        for row in all_rows(tmp_path / "data", "scalar")
        if row.metadata["problem_id"] == large.problem.id
    ]
    assert len(set(nodes)) == len(nodes), "as many nodes as the cap lets in"


def test_the_longer_side_wins_as_often_as_the_shorter_in_every_group_and_on_both_sides(
    trees: Path, tmp_path: Path
) -> None:
    counts = export([trees], tmp_path / "data", ExportConfig(validation=0.3))
    for side in SIDES:
        found = Counter()
        for pair in rows(tmp_path / "data", "pairs", side):
            facts = facts_of(pair, side)
            found[facts.group, facts.longer] += 1
        for group in ("full", "prefix", "mixed"):
            assert found[group, 1] == found[group, -1]
        assert found["mixed", 1] > 0
    assert (
        counts.pairs_dropped["the longer side wins too often, or too seldom"]
        == len(counts.capped) - len(counts.pairs)
        > 0
    )


def test_the_balance_takes_from_the_more_frequent_alone() -> None:
    facts = [facts_of(pair("x" * length, "y" * 10), "train") for length in (20, 20, 20, 5, 10)]
    kept = balanced(facts, 0)
    assert len(kept & {0, 1, 2}) == 1
    assert {3, 4} <= kept


def pair(chosen: str, rejected: str) -> PairExample:
    return PairExample(
        problem="p",
        chosen=chosen,
        rejected=rejected,
        chosen_label=1,
        rejected_label=0,
        metadata={"kind": "full-prefix", "tree": "t"},
    )


def test_filters_hold_and_rows_carry_weight_and_provenance(trees: Path, tmp_path: Path) -> None:
    export([trees], tmp_path / "data", ExportConfig(min_visits=2, min_margin=0.3))
    scalar, pairs = all_rows(tmp_path / "data", "scalar"), all_rows(tmp_path / "data", "pairs")
    assert min(row.n for row in scalar) == 2
    assert min(min(row.chosen_n, row.rejected_n) for row in pairs) == 2
    assert min(row.chosen_label - row.rejected_label for row in pairs) >= 0.3 - 1e-9
    for row in scalar:
        assert row.metadata["weight"] == round(row.n / (row.n + 1), 6)
    weight = {
        (p.chosen_n, p.rejected_n, round(p.chosen_label - p.rejected_label, 6)): p.metadata["weight"] for p in pairs
    }
    assert all(w == pytest.approx(m * a / (a + 1) * b / (b + 1), abs=1e-5) for (a, b, m), w in weight.items())
    for row in [*scalar, *pairs]:
        assert row.metadata["provenance"] == {"prompts": "aa", "models": "bb"}
        assert row.metadata["problem_id"] == f"made/{row.metadata['seed']}"


def test_the_same_trees_and_seed_give_the_same_bytes_and_another_seed_others(trees: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        export([trees], tmp_path / name, ExportConfig(seed=seed, validation=0.2))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == [
        "README.md",
        "pairs-train.jsonl",
        "pairs-validation.jsonl",
        "scalar-train.jsonl",
        "scalar-validation.jsonl",
    ]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)
    assert all((tmp_path / "one" / name).read_bytes() != (tmp_path / "other" / name).read_bytes() for name in files)


def test_bad_rows_are_named_and_counted_and_cost_no_neighbour(trees: Path, tmp_path: Path) -> None:
    lines = trees.read_bytes().split(b"\n")[:4]
    broken = json.loads(lines[1])
    broken["nodes"][0]["visits"] += 1
    bad = [
        json.dumps(broken).encode(),
        b"[1]",
        b'{"problem": {"id": "x", "problem": "\\ud800"}, "seed": 0, "nodes": []}',
        b"\xff\xfe",
    ]
    path = tmp_path / "trees.jsonl"
    path.write_bytes(b"\n".join([lines[0], *bad, lines[0], lines[2], lines[3][:200]]))
    out = coderm("curate", "export", path, "-o", tmp_path / "data", "--validation", 0)
    assert out.returncode == 0, out.stderr
    assert [f"trees.jsonl:{number}: " in out.stderr for number in (2, 3, 4, 5, 8)] == [True] * 5
    assert "2 trees of 2 problems (0 held out)" in out.stderr
    assert "5 rows are no tree" in out.stderr
    card = (tmp_path / "data" / "README.md").read_text()
    assert "5 rows are no tree" in card
    assert "2 trees; 1 more were copies" in card
    assert {row.metadata["problem_id"] for row in rows(tmp_path / "data", "scalar", "train")} == {"made/0", "made/2"}
    assert rows(tmp_path / "data", "scalar", "validation") == []


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("```python\na = 1\nprint(a)\n```\n```python\nb = 1\n```", Unusable.NOT_ONE_BLOCK),
        ("```python\na = 1\nprint(a)\n", Unusable.NOT_ONE_BLOCK),
        ("no code", Unusable.NOT_ONE_BLOCK),
        ("```python\na = 2\nprint(a)\n```", Unusable.OTHER_CODE),
        ("```python\na = 1\nprint(a)\nb = 1\n```", Unusable.OTHER_CODE),
        ("```python\na = '''1\nprint(a)\n```", Unusable.NO_PYTHON),
    ],
)
def test_a_response_that_is_not_its_path_gives_nothing_and_its_reason_is_counted(
    tmp_path: Path, response: str, reason: Unusable
) -> None:
    node = {"parent": 0, "depth": 1, "segment": "a = 1  # one\nprint(a)\n", "terminal_visits": 1}
    nodes = [
        {"id": 0, "parent": None, "depth": 0, "segment": "", "visits": 2, "value": 1.0},
        {"id": 1, **node, "visits": 1, "value": 0.4, "response": response},
        {
            "id": 2,
            **node,
            "segment": "c = 1\nprint(c)\n",
            "visits": 1,
            "value": 0.6,
            "response": "```\nc = 1 # 3\nprint(c)\n```",
        },
    ]
    tree = SearchTree(problem=Problem(id="p", problem="q"), seed=0, nodes=nodes)
    append_jsonl(tmp_path / "trees.jsonl", [tree])
    counts = export([tmp_path / "trees.jsonl"], tmp_path / "data", ExportConfig())
    assert counts.unusable == {reason: 1}
    assert [row.response for row in all_rows(tmp_path / "data", "scalar")] == [nodes[2]["response"]]
    assert all_rows(tmp_path / "data", "pairs") == []


def test_nothing_is_written_where_something_is_or_nothing_can_be_read(trees: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").touch()
    with pytest.raises(CodermError, match="no empty folder"):
        export([trees], full, ExportConfig())
    (tmp_path / "torn.jsonl").write_bytes(trees.read_bytes()[:100])
    with pytest.raises(CodermError, match=r"no search tree in .*torn.jsonl\n.*torn.jsonl:1: not a JSON line"):
        export([tmp_path / "torn.jsonl"], tmp_path / "data", ExportConfig())
    with pytest.raises(CodermError, match="no trees at"):
        export([tmp_path / "absent"], tmp_path / "data", ExportConfig())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "torn.jsonl"]


def test_an_export_that_breaks_off_leaves_nothing(trees: Path, tmp_path: Path) -> None:
    def stop(done: int) -> None:
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export([trees], tmp_path / "data", ExportConfig(), stop)
    assert list(tmp_path.iterdir()) == []


def test_a_runs_folder_stands_for_its_trees(trees: Path, tmp_path: Path) -> None:
    export([trees.parent], tmp_path / "data", PAPER)
    assert len({row.metadata["tree"] for row in all_rows(tmp_path / "data", "scalar")}) == 40


def test_near_copies_stay_on_one_side_and_a_problem_keeps_its_side_as_others_come() -> None:
    texts = {f"k{number:03}": statement(number) for number in range(300)}
    copies = {f"{key}x": f"Please note. {text} Thank you!" for key, text in texts.items()}
    alone, both = split(texts, ExportConfig(validation=0.2)), split({**texts, **copies}, ExportConfig(validation=0.2))
    assert len(both.near) == 300
    assert all(both.side(key) == both.side(f"{key}x") for key in texts)
    assert both.held_out & texts.keys() == alone.held_out
    assert 30 < len(alone.held_out) < 90
    few = split(dict(list(texts.items())[:3]), ExportConfig())
    assert len(few.held_out) == 1, "a side is empty only where it must be"
    assert not split(texts, ExportConfig(validation=0)).held_out


def test_the_card_tells_files_sources_settings_and_what_was_dropped(trees: Path, tmp_path: Path) -> None:
    counts = export([trees], tmp_path / "data", ExportConfig())
    card = (tmp_path / "data" / "README.md").read_text()
    scalar, pairs = (len(rows(tmp_path / "data", what, "train")) for what in ("scalar", "pairs"))
    assert f"| train | {counts.problems['train']} | {scalar} | {pairs} |" in card
    assert "| models | 1 | bb | 40 |" in card
    for reason, count in [*counts.scalar_dropped.items(), *counts.pairs_dropped.items()]:
        assert not count or f"| {reason} | {count} |" in card
    assert "| max_scalar | 33 |" in card
