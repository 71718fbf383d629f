"""What an export read, kept and dropped, gathered as it goes; only numbers and names, no texts."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from coderm_slime.records import ScalarExample, SearchTree
from mcts.export.balance import PairFacts
from mcts.export.completions import Unusable
from mcts.export.trees import BadRow


@dataclass
class Counts:
    """Everything that the card tells.

    Attributes:
        problems: by side of the split.
        without_rows: ids of problems whose trees gave no row at all.
        provenance: for each name in the trees' provenance, how many trees have which value.
        scalar: rows by (side, kind). scalar_of_tree, pairs_of_tree: rows by tree.
        labels, visits: scalar rows by tenth of their label, and by N. label_sums: by kind.
        capped: pairs before balance. pairs: those that were written.
    """

    trees: int = 0
    copies: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)
    without_rows: list[str] = field(default_factory=list)
    near: tuple[tuple[str, str], ...] = ()
    provenance: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    responses: int = 0
    unusable: Counter[Unusable] = field(default_factory=Counter)
    scalar_dropped: Counter[str] = field(default_factory=Counter)
    pairs_dropped: Counter[str] = field(default_factory=Counter)
    scalar: Counter[tuple[str, str]] = field(default_factory=Counter)
    scalar_of_tree: Counter[str] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    visits: Counter[int] = field(default_factory=Counter)
    label_sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    capped: list[PairFacts] = field(default_factory=list)
    pairs: list[PairFacts] = field(default_factory=list)

    def add_tree(self, tree: SearchTree) -> None:
        self.trees += 1
        for name, value in tree.provenance.items():
            self.provenance[name][value] += 1

    def add_scalar(self, row: ScalarExample, side: str) -> None:
        kind = row.metadata["kind"]
        self.scalar[side, kind] += 1
        self.scalar_of_tree[row.metadata["tree"]] += 1
        self.labels[min(int(row.label * 10 + 1e-9), 9)] += 1
        self.visits[row.n] += 1
        self.label_sums[kind] += row.label
