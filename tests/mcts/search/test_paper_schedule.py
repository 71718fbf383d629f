"""The paper's schedule against an independent oracle, written from the method's text.

The oracle keeps no tree: it has the lists of programs that came, of their evaluations and of the expansions that
failed, and works out every N, Q, child and branch anew from them whenever it needs one.
"""

import math
from dataclasses import dataclass, field

import pytest

from helpers.searches import FakeModel, Path, labels_of, paths_of, run_search, tree_of
from mcts.config import SearchConfig
from mcts.search import Search

C = math.sqrt(2)


@dataclass
class Oracle:
    """Method item 7 and 9, literally; a node is the tuple of its steps' labels."""

    model: FakeModel
    rollouts: int
    branches: int
    came: list[Path] = field(default_factory=list)
    judged: list[tuple[Path, float]] = field(default_factory=list)
    lost: list[Path] = field(default_factory=list)
    shown: list[tuple[Path, Path]] = field(default_factory=list)
    log: list[tuple] = field(default_factory=list)

    def n(self, node: Path) -> int:
        return len([1 for path, _ in self.judged if path[: len(node)] == node])

    def q(self, node: Path) -> float:
        return sum(reward for path, reward in self.judged if path[: len(node)] == node)

    def children(self, node: Path) -> list[Path]:
        depth = len(node)
        return list(dict.fromkeys(p[: depth + 1] for p in self.came if p[:depth] == node and len(p) > depth))

    def branches_left(self, node: Path) -> int:
        used = [p for p in self.came if p[: len(node)] == node and p != node]
        return self.branches - len(used) - self.lost.count(node)

    def uct(self, child: Path) -> float:
        return self.q(child) / self.n(child) + C * math.sqrt(math.log(self.n(child[:-1])) / self.n(child))

    def where(self, rollout: int) -> tuple[str, Path, str, list]:
        if rollout == 0:
            return "begin", (), "initial_path", []
        first = self.came[0]
        if rollout < len(first):
            return "expand", first[:rollout], "first_pass", []
        if len(self.children(())) + self.lost.count(()) < self.branches:
            return "expand", (), "root", []
        return self.descend((), [])

    def descend(self, node: Path, choices: list) -> tuple[str, Path, str, list]:
        children = self.children(node)
        if not children:
            return "evaluate", node, "uct", choices
        if self.branches_left(node) > 0:
            return "expand", node, "spare_branch", choices
        scores = [self.uct(child) for child in children]
        best = children[[score >= max(scores) for score in scores].index(True)]
        return self.descend(best, [*choices, (node, children, scores, best)])

    def reflection(self, node: Path) -> Path:
        complete = list(dict.fromkeys(path for path, _ in self.judged if path[: len(node)] == node))
        mean = {
            p: sum(r for q, r in self.judged if q == p) / len([1 for q, _ in self.judged if q == p]) for p in complete
        }
        fresh = [path for path in complete if (node, path) not in self.shown]
        worst_first = sorted(fresh, key=mean.__getitem__)
        best_first = sorted(complete, key=lambda path: -mean[path])
        picked = (worst_first or best_first)[0]
        self.shown.append((node, picked))
        return picked

    def run(self) -> "Oracle":
        for rollout in range(self.rollouts):
            action, node, rule, choices = self.where(rollout)
            shown = self.reflection(node) if action == "expand" else None
            reply = self.model.reply(rollout, action, node)
            if reply.path is None:
                if action == "expand":
                    self.lost.append(node)
            else:
                if action != "evaluate":
                    self.came.append(reply.path)
                self.judged.append((reply.path, reply.reward))
            self.log.append((action, node, rule, choices, shown, reply.path))
        return self


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
