"""The paper's plain data, row by row, against the oracle in helpers/paper_oracle.py."""

from pathlib import Path

import pytest

from coderm_slime.records import PairExample, ScalarExample, append_jsonl, read_jsonl
from helpers.paper_oracle import Oracle
from helpers.searches import FakeModel, run_search, tree_of
from mcts.config import SearchConfig
from mcts.export import PAPER, export

CASES = [FakeModel(seed, failures=(seed % 3) * 0.1, longest=1 + seed % 7, labels="abcd") for seed in range(24)]


@pytest.mark.parametrize("model", CASES, ids=lambda model: str(model.seed))
def test_exported_rows_are_the_oracles(model: FakeModel, tmp_path: Path) -> None:
    oracle = Oracle(model, 12, 4).run()
    append_jsonl(tmp_path / "trees.jsonl", [tree_of(run_search(SearchConfig(num_rollouts=12), model)[0])])
    export([tmp_path / "trees.jsonl"], tmp_path / "data", PAPER)
    scalar = list(read_jsonl(tmp_path / "data" / "scalar-train.jsonl", ScalarExample))
    expected = list(oracle.scalar())
    assert [(row.response, row.n) for row in scalar] == [(text, n) for text, _, n in expected]
    assert [row.q for row in scalar] == pytest.approx([q for _, q, _ in expected])
    pairs = sorted(
        read_jsonl(tmp_path / "data" / "pairs-train.jsonl", PairExample), key=lambda p: (p.chosen, p.rejected)
    )
    sides = sorted(oracle.pairs())
    assert [(pair.chosen, pair.rejected) for pair in pairs] == [(better, worse) for better, worse, _, _ in sides]
    assert [pair.chosen_label for pair in pairs] == pytest.approx([float(label) for _, _, label, _ in sides])
    assert [pair.rejected_label for pair in pairs] == pytest.approx([float(label) for _, _, _, label in sides])


def test_the_cases_hold_nodes_where_a_response_ends_and_others_go_on_and_ties_that_floats_break() -> None:
    oracles = [Oracle(model, 12, 4).run() for model in CASES]
    assert sum(bool(oracle.children(path)) for oracle in oracles for path in oracle.texts) > 5
    assert sum(len(list(oracle.pairs())) for oracle in oracles) > 500
    labels = [(o.q(node) / o.n(node), o.label(node)) for o in oracles for path in o.came for node in (path, path[:1])]
    assert len({value for value, _ in labels}) > len({exact for _, exact in labels})
