"""One problem's search: tasks out, outcomes in, a tree at the end."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coderm_slime.records import Problem, SearchTree, Selection
from mcts.config import SearchConfig
from mcts.search.record import tree_record
from mcts.search.reflection import completion_for
from mcts.search.schedules import PaperSchedule, Place, UctSchedule
from mcts.search.tasks import Evaluated, Failed, Grown, Outcome, Reflection, Task
from mcts.search.tree import Node, Tree, back_up

_SCHEDULES: dict[str, type[PaperSchedule] | type[UctSchedule]] = {"paper": PaperSchedule, "uct": UctSchedule}


@dataclass(frozen=True)
class _Rollout:
    task: Task
    place: Place


class Search:
    """A search in which up to `config.parallel` rollouts are under way, and results are applied in rollout order.

    Rollout i is placed as soon as the results up to max(0, i - parallel) are applied, before any later one is, so the
    tree does not depend on when `issue` is called.

    Attributes:
        failed: the initial path failed: there is no tree, and nothing more to do.
        selections: what each applied rollout did, in order.
    """

    def __init__(self, config: SearchConfig, seed: int) -> None:
        self._config, self._seed = config, seed
        self._tree = Tree()
        self._schedule: PaperSchedule | UctSchedule | None = None  # once the initial path is there
        self._placed = 0
        self._waiting: deque[_Rollout] = deque()
        self._issued: deque[_Rollout] = deque()
        self.failed = False
        self.selections: list[Selection] = []
        self._place_all()

    @property
    def finished(self) -> bool:
        """Whether all rollouts are applied, or the first one failed."""
        return self.failed or len(self.selections) == self._config.num_rollouts

    def issue(self) -> Task | None:
        """The next rollout; None where nothing can be issued before another result is applied, or ever."""
        if not self._waiting:
            return None
        self._issued.append(self._waiting.popleft())
        return self._issued[-1].task

    def apply(self, outcome: Outcome) -> None:
        """The outcome of the oldest issued task that has none yet.

        Raises:
            ValueError: no task is under way, or the outcome does not fit the task. Nothing has changed then.
        """
        if not self._issued:
            raise ValueError(f"no task is under way, but there is an outcome: {outcome}")
        rollout = self._issued[0]
        _check_fit(rollout, outcome)
        self._issued.popleft()
        _count_under_way(rollout, -1)
        leaf = self._leaf_after(rollout, outcome)
        self.selections.append(_selection(rollout, leaf, outcome))
        self._place_all()

    def record(self, problem: Problem, calls: str, provenance: Mapping[str, str]) -> SearchTree:
        """The tree with all outcomes so far, finished or not.

        Raises:
            ValueError: no outcome was applied, or the initial path failed.
        """
        if self._schedule is None:
            raise ValueError(f"there is no tree of {problem.id}: its initial path was never evaluated")
        return tree_record(self._tree, self.selections, problem, self._seed, calls, provenance)

    def _leaf_after(self, rollout: _Rollout, outcome: Outcome) -> Node | None:
        node = rollout.place.node
        if isinstance(outcome, Failed):
            self.failed = self._schedule is None
            if rollout.task.action == "expand":
                node.used, node.failed = node.used + 1, node.failed + 1
            return None
        if isinstance(outcome, Grown):
            node = self._tree.grow(outcome.program)
            for inner in list(node.line())[1:]:
                inner.used += 1
        back_up(node, outcome.evaluation)
        if self._schedule is None:
            self._schedule = _SCHEDULES[self._config.schedule](self._config, node)
        return node

    def _place_all(self) -> None:
        applied = len(self.selections)
        while not self.failed and self._placed < self._config.num_rollouts:
            sees = max(0, self._placed - self._config.parallel) + 1 if self._placed else 0
            if sees > applied:
                return
            rollout = self._next()
            _count_under_way(rollout, 1)
            self._waiting.append(rollout)
            self._placed += 1

    def _next(self) -> _Rollout:
        if self._schedule is None:
            return _Rollout(Task(0, "begin", 0), Place(self._tree.root, "initial_path"))
        place = self._schedule.next(self._tree)
        if place.node.children:
            return _Rollout(self._expansion(place.node), place)
        program = place.node.program
        assert program is not None, "a node without children ends a response"
        return _Rollout(Task(self._placed, "evaluate", place.node.id, response=program.response), place)

    def _expansion(self, node: Node) -> Task:
        leaf = completion_for(node)
        program = leaf.program
        assert program is not None, "what was evaluated has a response"
        ends = program.ends[: node.depth]
        prefix = program.code[: ends[-1]] if ends else ""
        shown = Reflection(leaf.id, program.code, leaf.evaluations[-1]) if self._config.reflection else None
        return Task(self._placed, "expand", node.id, prefix, ends, shown)


def _count_under_way(rollout: _Rollout, change: int) -> None:
    """Virtual loss on the rollout's path and, if it expands, a branch of each node there."""
    expands = rollout.task.action == "expand"
    for node in rollout.place.node.line():
        node.visiting += change
        node.used += change * expands
    rollout.place.node.expanding += change * expands


def _check_fit(rollout: _Rollout, outcome: Outcome) -> None:
    task, node = rollout.task, rollout.place.node
    if isinstance(outcome, Failed):
        if not outcome.reason:
            raise ValueError(f"rollout {task.rollout} failed without a reason")
        return
    if isinstance(outcome, Evaluated) != (task.action == "evaluate"):
        raise ValueError(f"rollout {task.rollout} is to {task.action}: {type(outcome).__name__} is no outcome of that")
    if outcome.evaluation.rollout != task.rollout:
        raise ValueError(f"an evaluation of rollout {outcome.evaluation.rollout} came for rollout {task.rollout}")
    if isinstance(outcome, Grown) and not _goes_on_from(node, outcome.program.bare):
        raise ValueError(f"the program of rollout {task.rollout} does not go on from node {node.id}")


def _goes_on_from(node: Node, bare: Sequence[str]) -> bool:
    """Whether a program of these steps passes `node` and does not end there."""
    path = list(node.line())[::-1]
    steps = zip(path, path[1:], bare, strict=False)
    return len(bare) > node.depth and all(parent.children.get(step) is child for parent, child, step in steps)


def _selection(rollout: _Rollout, leaf: Node | None, outcome: Outcome) -> Selection:
    task, place = rollout.task, rollout.place
    return Selection(
        rollout=task.rollout,
        action=task.action,
        node=task.node,
        rule=place.rule,
        choices=place.choices,
        leaf=leaf.id if leaf else None,
        failure=outcome.reason if isinstance(outcome, Failed) else "",
    )
