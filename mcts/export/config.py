"""What an export keeps."""

from dataclasses import dataclass

# The paper's 6,000 trees gave 33 scalar examples and 12 pairs each (196,098 and 71,205): a large tree gives no more
# than their average does.
_SCALAR_A_TREE, _PAIRS_A_TREE = 33, 12


@dataclass(frozen=True)
class ExportConfig:
    """Filters, caps, balance, split.

    Attributes:
        seed: of every draw.
        validation: share of the problems held out, in [0, 1).
        near_copy: n-gram overlap from which two statements are one problem to the split, in (0, 1].
        min_visits: evaluations that an example, or each side of a pair, must have.
        min_margin: by how much the labels of a pair must differ.
        max_scalar, max_pairs: rows of a tree; None sets no bound.
        whole_leaves: a leaf's scalar text is its whole response, which is what a policy will send; else it is cut
            behind its last statement like any other node's. In a pair it is the whole response anyway.
        drop_repeats: leave out scalar rows whose text the tree gave before.
        balance: leave out pairs until the longer side is as often the better one as the worse.
    """

    seed: int = 0
    validation: float = 0.05
    near_copy: float = 0.5
    min_visits: int = 1
    min_margin: float = 0.1
    max_scalar: int | None = _SCALAR_A_TREE
    max_pairs: int | None = _PAIRS_A_TREE
    whole_leaves: bool = True
    drop_repeats: bool = True
    balance: bool = True


PAPER = ExportConfig(
    min_margin=0.0, max_scalar=None, max_pairs=None, whole_leaves=False, drop_repeats=False, balance=False
)
