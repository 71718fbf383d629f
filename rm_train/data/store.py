"""Rendered units as one Arrow file, written once through `datasets` and mapped by every rank, so none holds it all."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from coderm_slime.files import replaced
from rm_train.data.units import Unit


class Store:
    """Units by number, and what planning needs of all of them.

    Attributes:
        tokens: of each unit, (units,).
        sequences: of each unit, (units,).
        pairs: of each unit, (units,).
        target_weights, pair_weights: each unit's sums, (units,).
    """

    def __init__(self, file: Path) -> None:
        from datasets import Dataset

        self._rows: Any = Dataset.from_file(str(file))
        columns = self._rows.select_columns(["tokens", "n_sequences", "n_pairs", "target_weight", "pair_weight"])
        table = columns.with_format("numpy")[:]
        self.tokens = np.asarray(table["tokens"], dtype=np.int64)
        self.sequences = np.asarray(table["n_sequences"], dtype=np.int64)
        self.pairs = np.asarray(table["n_pairs"], dtype=np.int64)
        self.target_weights = np.asarray(table["target_weight"], dtype=np.float64)
        self.pair_weights = np.asarray(table["pair_weight"], dtype=np.float64)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Unit:
        row = self._rows[int(index)]
        pairs = [(better, worse) for better, worse in row["pairs"]]
        return Unit(
            row["key"],
            row["sequences"],
            row["targets"],
            row["target_weights"],
            pairs,
            row["weights_of_pairs"],
            row["gaps"],
        )


def write_store(units: Iterable[Unit], file: Path) -> int:
    """Write the units to `file` and say how many there are. It is no whole file before this returns."""
    from datasets import Features, List, Value
    from datasets.arrow_writer import ArrowWriter

    features = Features(
        {
            "key": Value("string"),
            "sequences": List(List(Value("int32"))),
            "targets": List(Value("float64")),
            "target_weights": List(Value("float64")),
            "pairs": List(List(Value("int32"))),
            "weights_of_pairs": List(Value("float64")),
            "gaps": List(Value("float64")),
            **{name: Value("int64") for name in ("tokens", "n_sequences", "n_pairs")},
            **{name: Value("float64") for name in ("target_weight", "pair_weight")},
        }
    )
    count = 0
    with ArrowWriter(features=features, path=str(file)) as writer:
        for unit in units:
            writer.write(_row(unit))
            count += 1
        writer.finalize()
    return count


def _row(unit: Unit) -> dict[str, Any]:
    return {
        "key": unit.key,
        "sequences": [list(ids) for ids in unit.sequences],
        "targets": list(unit.targets),
        "target_weights": list(unit.target_weights),
        "pairs": [list(pair) for pair in unit.pairs],
        "weights_of_pairs": list(unit.pair_weights),
        "gaps": list(unit.gaps),
        "tokens": unit.tokens,
        "n_sequences": len(unit.sequences),
        "n_pairs": len(unit.pairs),
        "target_weight": sum(unit.target_weights),
        "pair_weight": sum(unit.pair_weights),
    }


def write_facts(facts: dict[str, Any], file: Path) -> None:
    """Facts beside a store, whole or not at all."""
    with replaced(file) as draft:
        draft.write(json.dumps(facts, indent=1).encode() + b"\n")
