"""From JSONL files to the micro-batches of every step: read, rendered, stored once, drawn in a fixed order, packed.

Knows neither the model nor what is minimised. `rows` and `units` read and render, `store` keeps the result as one Arrow
file that all ranks map, `plan` says which units a step has and which rank reads them, `batch` makes tensors of them.
"""

from rm_train.data.batch import MicroBatch
from rm_train.data.plan import Plan, micro_batches
from rm_train.data.prepare import Prepared, prepare
from rm_train.data.rows import DataError, Skipped
from rm_train.data.store import Store
from rm_train.data.units import Unit

__all__ = ["DataError", "MicroBatch", "Plan", "Prepared", "Skipped", "Store", "Unit", "micro_batches", "prepare"]
