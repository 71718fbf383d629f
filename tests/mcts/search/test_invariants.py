"""What holds of every search: both schedules, several rollouts at a time, whatever comes back in whatever order."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coderm_slime.pycode import program_in
from coderm_slime.records import SearchTree
from helpers.searches import FakeModel, evaluation_of, paths_of, run_search, tree_of
from mcts.config import SearchConfig
from mcts.search import Evaluated, Failed, Grown, Search

CONFIGS = st.builds(
    SearchConfig,
    schedule=st.sampled_from(["paper", "uct"]),
    max_branches=st.integers(1, 4),
    num_rollouts=st.integers(1, 20),
    exploration=st.sampled_from([0.0, 0.5, 1.4142]),
    parallel=st.integers(1, 4),
    reflection=st.booleans(),
)
MODELS = st.builds(
    FakeModel,
    seed=st.integers(0, 10**6),
    failures=st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    labels=st.sampled_from(["a", "ab", "abcdef"]),
    longest=st.integers(1, 6),
)
ARRIVALS = st.integers(0, 10**6).map(random.Random)
many = settings(max_examples=80, deadline=None, derandomize=True)


@many
@given(CONFIGS, MODELS, ARRIVALS)
def test_a_tree_keeps_its_sums_its_depths_and_its_leaves(
    config: SearchConfig, model: FakeModel, arrival: random.Random
) -> None:
    search, outcomes = run_search(config, model, arrival)
    tree = SearchTree.model_validate_json(tree_of(search).model_dump_json())
    children = {node.id: [below for below in tree.nodes if below.parent == node.id] for node in tree.nodes}
    assert tree.nodes[0].visits == sum(not isinstance(outcome, Failed) for outcome in outcomes)
    for node, path in zip(tree.nodes, paths_of(tree), strict=True):
        assert node.visits == sum(child.visits for child in children[node.id]) + len(node.evaluations) >= 1
        own = sum(evaluation.reward for evaluation in node.evaluations)
        assert node.value == pytest.approx(sum(child.value for child in children[node.id]) + own)
        assert 0 <= node.value <= node.visits
        assert node.depth == len(path)
        assert children[node.id] or node.evaluations, "a path ends where a response does"
        if node.evaluations:
            assert [
                node.response[:cut].endswith(f"print({label})") for cut, label in zip(node.cuts, path, strict=True)
            ]
    leaves = [evaluation.rollout for node in tree.nodes for evaluation in node.evaluations]
    assert sorted(leaves) == [s.rollout for s in search.selections if s.leaf is not None], "no evaluation is lost"


@many
@given(CONFIGS, MODELS, ARRIVALS)
def test_neither_the_order_of_arrival_nor_a_replay_changes_the_tree(
    config: SearchConfig, model: FakeModel, arrival: random.Random
) -> None:
    search, outcomes = run_search(config, model)
    assert tree_of(run_search(config, model, arrival)[0]) == tree_of(search)
    replayed = Search(config, model.seed)
    for outcome in outcomes:
        assert replayed.issue() is not None
        replayed.apply(outcome)
    assert replayed.finished
    assert tree_of(replayed) == tree_of(search)


@many
@given(CONFIGS, MODELS, st.integers(0, 20))
def test_a_search_stopped_anywhere_is_a_valid_tree_and_goes_on_to_the_same_end(
    config: SearchConfig, model: FakeModel, stop: int
) -> None:
    search, outcomes = run_search(config, model)
    resumed = Search(config, model.seed)
    for outcome in outcomes[:stop]:
        resumed.issue()
        resumed.apply(outcome)
        tree_of(resumed)
    under_way = []
    while not resumed.finished:
        while (task := resumed.issue()) is not None:
            under_way.append(task)
        resumed.apply(model.outcome(under_way.pop(0)))
    assert tree_of(resumed) == tree_of(search)


@many
@given(CONFIGS, MODELS)
def test_a_node_is_expanded_while_it_has_branches_and_left_when_it_has_none(
    config: SearchConfig, model: FakeModel
) -> None:
    config = config.model_copy(update={"parallel": 1})
    search, _ = run_search(config, model)
    paths = paths_of(tree_of(search))
    came, judged, lost = [], [], []
    for selection in search.selections:
        for choice in selection.choices:
            assert not _may_expand(paths[choice.parent], came, judged, lost, config)
        if selection.rule in ("spare_branch", "widening"):
            assert _may_expand(paths[selection.node], came, judged, lost, config)
        if selection.leaf is not None:
            judged.append(paths[selection.leaf])
            came += [paths[selection.leaf]] if selection.action != "evaluate" else []
        elif selection.action == "expand":
            lost.append(paths[selection.node])


def _may_expand(node: tuple, came: list, judged: list, lost: list, config: SearchConfig) -> bool:
    """Whether the rule lets `node` be expanded; a failure counts once, for the node that was expanded alone."""
    through = [path for path in came if path[: len(node)] == node and path != node]
    if config.schedule == "paper":
        return len(through) + lost.count(node) < config.max_branches
    children = {path[: len(node) + 1] for path in through}
    visits = sum(path[: len(node)] == node for path in judged)
    return len(children) + lost.count(node) < min(config.max_branches, 1 + math.floor(math.sqrt(visits)))


@many
@given(MODELS, st.integers(1, 4), st.integers(2, 4))
def test_together_rollouts_take_no_more_branches_than_there_are(
    model: FakeModel, branches: int, parallel: int
) -> None:
    config = SearchConfig(max_branches=branches, num_rollouts=20, parallel=parallel)
    search, _ = run_search(config, model)
    spare = [selection.node for selection in search.selections if selection.rule == "spare_branch"]
    assert all(spare.count(node) < branches for node in set(spare)), "the path that made the node's children used one"
    roots = [selection.leaf for selection in search.selections if selection.rule == "root"]
    assert roots.count(None) <= branches


def response_of(*lines: str) -> str:
    return "```python\n" + "".join(f"{line}\n" for line in lines) + "```\n"


def started(config: SearchConfig | None = None) -> Search:
    search = Search(config or SearchConfig(), 0)
    search.issue()
    search.apply(Grown(program_in(response_of("a = 1", "print(a)", "b = 2", "print(b)")), evaluation_of(0, 0.4)))
    return search


def test_a_continuation_may_go_on_below_a_terminal_node_whose_response_is_then_left_alone() -> None:
    search = started(SearchConfig(num_rollouts=30))
    below = response_of("a = 1", "print(a)", "b = 2  # two", "print(b)", "c = 3", "print(c)")
    task = search.issue()
    search.apply(Grown(program_in(below, task.ends), evaluation_of(1, 1.0)))
    tree = tree_of(search)
    assert [(node.parent, node.visits, node.terminal_visits) for node in tree.nodes] == [
        (None, 2, 0),
        (0, 2, 0),
        (1, 2, 1),
        (2, 1, 1),
    ]
    while (task := search.issue()) is not None:
        assert (task.action, task.node) != ("evaluate", 2)
        search.apply(Failed("no_code") if task.action == "expand" else Evaluated(evaluation_of(task.rollout, 0.2)))
    assert tree_of(search).nodes[3].terminal_visits > 1


def test_a_continuation_may_end_on_an_inner_node_which_keeps_its_response() -> None:
    search = started()
    search.issue()
    short = response_of("a = 1", "print(a)")
    while (task := search.issue()) is None:
        search.apply(Failed("length"))
    assert (task.node, task.prefix) == (0, "")
    search.apply(Grown(program_in(short), evaluation_of(2, 1.0)))
    node = tree_of(search).nodes[1]
    assert (node.response, node.visits, node.terminal_visits, node.cuts) == (short, 2, 1, (len(short) - 5,))


def test_a_rollout_under_way_counts_as_a_visit_without_reward_and_sends_the_next_one_elsewhere() -> None:
    config = SearchConfig(schedule="uct", max_branches=2, num_rollouts=9, parallel=2, exploration=0.1)
    search = Search(config, 0)
    search.issue()
    search.apply(Grown(program_in(response_of("a = 1", "print(a)")), evaluation_of(0, 0.6)))
    assert [(task.action, task.node) for task in (search.issue(), search.issue())] == [("expand", 0), ("evaluate", 1)]
    search.apply(Grown(program_in(response_of("b = 1", "print(b)")), evaluation_of(1, 0.5)))
    assert search.issue().node == 2, "node 1 is ahead by 0.6 to 0.5, but under evaluation"
    assert search.issue() is None
    search.apply(Evaluated(evaluation_of(2, 0.6)))
    assert search.issue().node == 1
    scores = dict(zip((1, 2), search_scores(search, 3), strict=True))
    assert scores[1] == pytest.approx(0.6 / 2 + 0.1 * math.sqrt(math.log(3) / 2))
    assert scores[2] == pytest.approx(0.5 + 0.1 * math.sqrt(math.log(3)))


def search_scores(search: Search, rollout: int) -> tuple[float, ...]:
    """The scores by which that rollout was placed."""
    while len(search.selections) <= rollout:
        search.apply(Evaluated(evaluation_of(len(search.selections), 0.5)))
        search.issue()
    return search.selections[rollout].choices[0].scores


def test_a_program_that_was_there_before_is_another_visit_and_the_first_response_stays() -> None:
    search = started()
    task = search.issue()
    again = response_of("a = 1", "print(a)", "# once more", "b = 2", "print(b)")
    search.apply(Grown(program_in(again, task.ends), evaluation_of(1, 1.0)))
    leaf = tree_of(search).nodes[2]
    assert (len(tree_of(search).nodes), leaf.visits, leaf.terminal_visits) == (3, 2, 2)
    assert leaf.response == response_of("a = 1", "print(a)", "b = 2", "print(b)")


def test_a_first_path_that_fails_leaves_no_tree() -> None:
    search = Search(SearchConfig(parallel=3), 0)
    assert search.issue().action == "begin"
    assert search.issue() is None
    search.apply(Failed("no_code"))
    assert (search.failed, search.finished, search.issue()) == (True, True, None)
    with pytest.raises(ValueError, match="never evaluated"):
        tree_of(search)


def test_an_outcome_that_does_not_fit_its_task_is_refused_and_changes_nothing() -> None:
    search = started()
    before = tree_of(search)
    with pytest.raises(ValueError, match="no task is under way"):
        search.apply(Failed("length"))
    assert search.issue().node == 1
    elsewhere, nothing_added = response_of("z = 1", "print(z)"), response_of("a = 1", "print(a)")
    for outcome, named in [
        (Evaluated(evaluation_of(1, 0.5)), "to expand: Evaluated"),
        (Grown(program_in(elsewhere), evaluation_of(1, 0.5)), "does not go on from node 1"),
        (Grown(program_in(nothing_added), evaluation_of(1, 0.5)), "does not go on from node 1"),
        (Grown(program_in(response_of("a = 1", "print(a)", "c = 1")), evaluation_of(7, 0.5)), "of rollout 7"),
        (Failed(""), "without a reason"),
    ]:
        with pytest.raises(ValueError, match=named):
            search.apply(outcome)
    assert tree_of(search) == before
    search.apply(Failed("length"))


def test_reflection_can_be_turned_off_and_the_prefix_stays() -> None:
    task = started(SearchConfig(reflection=False)).issue()
    assert (task.reflection, task.prefix) == (None, "a = 1\nprint(a)\n")
