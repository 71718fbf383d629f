"""Searches without models: a FAKE model whose programs are runs of labelled steps, and what drives a search with it.

A path is a tuple of labels. A label's step is two lines that end in a print of a variable, so a program has a step for
each label; comments differ from program to program.
"""

import random
from dataclasses import dataclass

from coderm_slime.pycode import program_in
from coderm_slime.records import Evaluation, Problem, SearchTree
from mcts.config import SearchConfig
from mcts.search import Evaluated, Failed, Grown, Outcome, Search, Task

PROBLEM = Problem(id="made/1", problem="Name some things.")
Path = tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """A response, and where each step's statement ends in it, as the one who wrote it knows."""

    response: str
    cuts: tuple[int, ...]


def text_of(path: Path, style: random.Random) -> Text:
    """A response with the steps of `path`; plan, comments and blank lines are drawn."""
    text = style.choice(["", "A plan.\n\n", "1. Name things.\n2. Show them.\n\n"]) + "```python\n"
    cuts = []
    for label in path:
        if style.random() < 0.4:
            text += style.choice([f"# now {label}\n", "\n", f"# print({label})\n\n"])
        comment = style.choice(["", f"  # {label} = 1", "  # '''"])
        text += f"{label} = '{label} # 1'{comment}\nprint({label})"
        cuts.append(len(text))
        text += "\n"
    return Text(text + style.choice(["```", "# that is all\n```\nIt names things.\n"]), tuple(cuts))


def labels_of(code: str) -> Path:
    """The path of a program that `text_of` wrote."""
    return tuple(line[6:-1] for line in code.splitlines() if line.startswith("print("))


@dataclass(frozen=True)
class Reply:
    """What the FAKE model and judge say; a path of None is a failure."""

    path: Path | None
    text: Text | None
    reward: float


@dataclass(frozen=True)
class FakeModel:
    """FAKE: replies drawn from (seed, rollout, prefix) alone. Few labels, so continuations repeat; few rewards, so
    scores tie."""

    seed: int
    failures: float = 0.15
    labels: str = "abc"
    longest: int = 5

    def reply(self, rollout: int, action: str, prefix: Path) -> Reply:
        draw = random.Random(f"{self.seed}/{rollout}/{prefix}")
        reward = draw.randint(0, 5) / 5
        if draw.random() < self.failures and rollout > 0:
            return Reply(None, None, reward)
        if action == "evaluate":
            return Reply(prefix, None, reward)
        path = prefix + tuple(draw.choice(self.labels) for _ in range(draw.randint(1, self.longest)))
        return Reply(path, text_of(path, draw), reward)

    def outcome(self, task: Task) -> Outcome:
        """The outcome of `task`; a new program begins with the task's prefix, as a real one would."""
        prefix = task.prefix
        if task.action == "evaluate":
            prefix = program_in(task.response or "").code
        reply = self.reply(task.rollout, task.action, labels_of(prefix))
        if reply.path is None:
            return Failed("no_code")
        evaluation = evaluation_of(task.rollout, reply.reward)
        if reply.text is None:
            return Evaluated(evaluation)
        program = program_in(with_prefix(reply.text.response, task.prefix), task.ends)
        return Grown(program, evaluation)


def with_prefix(response: str, prefix: str) -> str:
    """`response` with the steps that `prefix` has written as they stand there."""
    steps = len(labels_of(prefix))
    if not steps:
        return response
    before, code = response.split("```python\n")
    lines = code.splitlines(keepends=True)
    prints = [number for number, line in enumerate(lines) if line.startswith("print(")]
    return f"{before}```python\n{prefix}{''.join(lines[prints[steps - 1] + 1 :])}"


def evaluation_of(rollout: int, reward: float) -> Evaluation:
    return Evaluation(
        rollout=rollout, reward=reward, grade=reward * 5, analysis=f"words {rollout}", output="out", ending="exited"
    )


def run_search(config: SearchConfig, model: FakeModel, arrival: random.Random | None = None) -> tuple[Search, list]:
    """A whole search, its results arriving in the order that `arrival` draws; the outcomes come back in theirs."""
    search, outcomes = Search(config, model.seed), []
    under_way, arrived = [], {}
    while not search.finished:
        while (task := search.issue()) is not None:
            under_way.append(task)
        assert len(under_way) + len(arrived) <= config.parallel
        task = under_way.pop(arrival.randrange(len(under_way)) if arrival else 0)
        arrived[task.rollout] = model.outcome(task)
        while len(outcomes) in arrived:
            outcomes.append(arrived.pop(len(outcomes)))
            search.apply(outcomes[-1])
    assert search.issue() is None
    return search, outcomes


def tree_of(search: Search) -> SearchTree:
    return search.record(PROBLEM, "f()", {"prompts": "0" * 8})


def paths_of(tree: SearchTree) -> list[Path]:
    """The labels from the root to each node, by the node's id."""
    paths: list[Path] = []
    for node in tree.nodes:
        paths.append(paths[node.parent] + labels_of(node.segment) if node.parent is not None else ())
    return paths
