"""The paper's schedule, selection by selection, against the oracle in helpers/paper_oracle.py."""

import pytest

from helpers.paper_oracle import Oracle
from helpers.searches import FakeModel, labels_of, paths_of, run_search, tree_of
from mcts.config import SearchConfig
from mcts.search import Search

CASES = [
    FakeModel(seed, failures=(seed % 4) * 0.12, longest=1 + seed % 7, labels="abcd"[: 2 + seed % 3])
    for seed in range(40)
]


def both(model: FakeModel, rollouts: int = 14) -> tuple[Oracle, Search]:
    oracle = Oracle(model, rollouts, 4).run()
    return oracle, run_search(SearchConfig(num_rollouts=rollouts), model)[0]


@pytest.mark.parametrize("model", CASES, ids=lambda model: str(model.seed))
def test_selections_are_the_oracles(model: FakeModel) -> None:
    oracle, search = both(model)
    paths = paths_of(tree_of(search))
    for selection, (action, node, rule, choices, _, leaf) in zip(search.selections, oracle.log, strict=True):
        assert (selection.action, paths[selection.node], selection.rule) == (action, node, rule)
        assert (None if selection.leaf is None else paths[selection.leaf]) == leaf
        assert bool(selection.failure) == (leaf is None)
        for choice, (parent, children, scores, best) in zip(selection.choices, choices, strict=True):
            assert (paths[choice.parent], paths[choice.chosen]) == (parent, best)
            assert [paths[child] for child in choice.children] == children
            assert list(choice.scores) == pytest.approx(scores)


@pytest.mark.parametrize("model", CASES, ids=lambda model: str(model.seed))
def test_visits_and_values_are_the_oracles(model: FakeModel) -> None:
    oracle, search = both(model)
    tree = tree_of(search)
    paths = paths_of(tree)
    assert len(set(paths)) == len(paths)
    assert set(paths) == {path[:depth] for path in oracle.came for depth in range(len(path) + 1)}
    assert [node.visits for node in tree.nodes] == [oracle.n(path) for path in paths]
    assert [node.value for node in tree.nodes] == pytest.approx([oracle.q(path) for path in paths])
    assert {path: [e.reward for e in node.evaluations] for path, node in zip(paths, tree.nodes, strict=True)} == {
        path: [reward for judged, reward in oracle.judged if judged == path] for path in paths
    }


@pytest.mark.parametrize("model", CASES, ids=lambda model: str(model.seed))
def test_an_expansion_is_shown_the_oracles_completion_and_its_code_from_the_start(model: FakeModel) -> None:
    oracle = Oracle(model, 14, 4).run()
    search = Search(SearchConfig(num_rollouts=14), 0)
    for _, node, _, _, shown, _ in oracle.log:
        task = search.issue()
        assert labels_of(task.prefix) == (node if task.action == "expand" else ())
        if shown is None:
            assert task.reflection is None
        else:
            assert labels_of(task.reflection.code) == shown
            assert task.reflection.code.startswith(task.prefix)
            last = max(step for step in range(task.rollout) if oracle.log[step][5] == shown)
            assert task.reflection.evaluation.rollout == last, "the last evaluation of what is shown"
        search.apply(model.outcome(task))


def test_the_cases_hold_what_makes_schedules_go_wrong() -> None:
    oracles = [Oracle(model, 14, 4).run() for model in CASES]
    logs = [step for oracle in oracles for step in oracle.log]
    assert len({len(oracle.came[0]) for oracle in oracles}) >= 6, "lengths of first paths"
    assert {step[2] for step in logs} == {"initial_path", "first_pass", "root", "spare_branch", "uct"}
    assert sum(step[0] == "expand" and step[5] is None for step in logs) > 20, "failed expansions"
    assert sum(step[0] == "evaluate" and step[5] is None for step in logs) > 0, "failed evaluations"
    assert sum(step[0] == "evaluate" and step[5] is not None for step in logs) > 20, "terminal nodes again"
    assert any(len(set(scores)) < len(scores) for step in logs for _, _, scores, _ in step[3]), "ties"
    assert any(len(set(oracle.came)) < len(oracle.came) for oracle in oracles), "the same program twice"
    assert any(p != q and q[: len(p)] == p for oracle in oracles for p in oracle.came for q in oracle.came), "both"
