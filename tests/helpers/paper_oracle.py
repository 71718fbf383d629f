"""An independent oracle of the paper's schedule and data, written from the method's text (items 7, 9 and 10).

It keeps no tree: it has the lists of programs that came, of their evaluations and of the expansions that failed, and
works out every N, Q, child and branch anew from them whenever it needs one. A node is the tuple of its steps' labels.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from helpers.searches import FakeModel, Path, Text

C = math.sqrt(2)


@dataclass
class Oracle:
    """A whole search by `run`; then its data."""

    model: FakeModel
    rollouts: int
    branches: int
    came: list[Path] = field(default_factory=list)
    judged: list[tuple[Path, float]] = field(default_factory=list)
    lost: list[Path] = field(default_factory=list)
    shown: list[tuple[Path, Path]] = field(default_factory=list)
    log: list[tuple] = field(default_factory=list)
    texts: dict[Path, Text] = field(default_factory=dict)

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
                    text = spliced(self.texts[shown], reply.text, len(node)) if node else reply.text
                    self.texts.setdefault(reply.path, text)
                self.judged.append((reply.path, reply.reward))
            self.log.append((action, node, rule, choices, shown, reply.path))
        return self

    def label(self, node: Path) -> Fraction:
        """Q / N without rounding: the FAKE judge's rewards are fifths."""
        return sum(
            Fraction(round(reward * 5), 5) for path, reward in self.judged if path[: len(node)] == node
        ) / self.n(node)

    def scalar(self) -> Iterator[tuple[str, float, int]]:
        for path, text in self.texts.items():
            for depth, cut in enumerate(text.cuts, start=1):
                yield text.response[:cut], self.q(path[:depth]), self.n(path[:depth])

    def pairs(self) -> Iterator[tuple[str, str, Fraction, Fraction]]:
        nodes = dict.fromkeys(path[:depth] for path in self.came for depth in range(1, len(path) + 1))
        for one, other in itertools.combinations([node for node in nodes if len(self.children(node)) != 1], 2):
            related = one == other[: len(one)] or other == one[: len(other)]
            if not related and self.label(one) != self.label(other):
                better, worse = sorted([one, other], key=self.label, reverse=True)
                yield self.side(better), self.side(worse), self.label(better), self.label(worse)

    def side(self, node: Path) -> str:
        if not self.children(node):
            return self.texts[node].response
        text = next(text for path, text in self.texts.items() if path[: len(node)] == node)
        return text.response[: text.cuts[len(node) - 1]]


def spliced(old: Text, new: Text, steps: int) -> Text:
    """`new` with its first steps as they stand in `old`."""
    old_code, new_code = (text.response.index("```python\n") + 10 for text in (old, new))
    prefix, rest = old.response[old_code : old.cuts[steps - 1]], new.response[new.cuts[steps - 1] :]
    kept = [cut - old_code + new_code for cut in old.cuts[:steps]]
    moved = [cut - new.cuts[steps - 1] + new_code + len(prefix) for cut in new.cuts[steps:]]
    return Text(new.response[:new_code] + prefix + rest, (*kept, *moved))
