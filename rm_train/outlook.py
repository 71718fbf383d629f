"""What a run will do, before it does it: its data, its steps, its memory. Printed first, and by `--dry-run` alone."""

from collections.abc import Mapping

from rm_train.config import StageName, StagePart, TrainConfig
from rm_train.data.plan import Plan, micro_batches, rows_of
from rm_train.data.prepare import Prepared, StageSets
from rm_train.data.store import Store
from rm_train.memory import Estimate, fits
from rm_train.parallel import Layout, ParallelError
from rm_train.shape import BackboneShape


def outlook(config: TrainConfig, sets: Mapping[StageName, StageSets], ranks: int) -> list[str]:
    """Lines that say what `ranks` ranks on this machine would do.

    Raises:
        ShapeError, ParallelError: the ranks cannot share the model.
        DoesNotFit: a rank needs more memory than it has.
    """
    shape = BackboneShape.of(config.model)
    layout = _layout(config, ranks)
    shape.check_tp(config.tp)
    lines = [
        f"model {config.model.name}: {shape.family}, {shape.parameters() / 1e6:,.0f} M weights, {config.dtype}; "
        f"tensor parallel {layout.tp} x data parallel {layout.dp}; head: {config.head.start}"
    ]
    for part in config.parts:
        lines += _stage(part, sets[part.name], layout, config.seed)
    lines.append(f"memory of a rank, about {memory_of_a_rank(config, layout)}")
    return lines


def memory_of_a_rank(config: TrainConfig, layout: Layout) -> Estimate:
    """The estimate for the stage that reads most at once; refuses what does not fit, as `memory.fits` does."""
    return fits(
        BackboneShape.of(config.model),
        layout,
        tokens_per_micro_batch=max(part.stage.micro_batch_tokens for part in config.parts),
        mixed=config.dtype == "bfloat16",
        recompute=config.recompute,
    )


def _layout(config: TrainConfig, ranks: int) -> Layout:
    if ranks % config.tp:
        raise ParallelError(f"{ranks} ranks cannot be divided into groups of tp={config.tp}; start a multiple of it")
    return Layout(tp=config.tp, dp=ranks // config.tp, tp_rank=0, dp_rank=0)


def _stage(part: StagePart, sets: StageSets, layout: Layout, seed: int) -> list[str]:
    stage, store = part.stage, sets.train.open()
    plan = Plan(
        rows_of(stage.loss.kind, store.sequences, store.pairs), epochs=stage.epochs, batch=stage.batch, seed=seed
    )
    first = store.tokens[plan.units(0)].tolist()
    micro = len(micro_batches(first, stage.micro_batch_tokens, layout.dp)) // layout.dp
    budget = f", ended after {stage.time_budget_minutes:g} minutes" if stage.time_budget_minutes else ""
    return [
        f"stage {part.name}: {stage.loss.kind}, lr {stage.lr:g}, {stage.epochs} epochs of {_size(store)}: "
        f"{plan.total_steps} steps of {stage.batch} rows, the first in {micro} micro-batches a rank{budget}",
        f"  train: {_facts(sets.train)}, fingerprint {sets.train.fingerprint}",
        *(f"  validation {name}: {_facts(found)}" for name, found in sets.validation.items()),
    ]


def _size(store: Store) -> str:
    counts = {"pairs": store.pairs, "sequences": store.sequences, "tokens": store.tokens}
    return ", ".join(f"{int(count.sum()):,} {name}" for name, count in counts.items())


def _facts(found: Prepared) -> str:
    return f"{found.units:,} units of {found.skipped.rows:,} rows; left out: {found.skipped}"
