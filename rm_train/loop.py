"""The steps of one stage on one rank: micro-batches, an optimizer step, evaluations and checkpoints between them."""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed as dist

from rm_train import checkpoint, device, parallel
from rm_train.config import StagePart, TrainConfig
from rm_train.data.batch import MicroBatch
from rm_train.data.plan import Plan, micro_batches, rows_of
from rm_train.data.prepare import StageSets
from rm_train.evaluate import Evaluated, evaluate
from rm_train.log import Log, SilentLog
from rm_train.losses import Totals, loss_of
from rm_train.model import RewardModel
from rm_train.optimizer import Optimizer
from rm_train.schedule import Schedule

_BEST = "best"  # folder of the checkpoint that is chosen, beside the others


class Progress(Protocol):
    """Who is told how a run goes."""

    def say(self, line: str) -> None:
        """A line that stays."""

    def at(self, part: float, line: str) -> None:
        """How much of the stage is done, in [0, 1], and its latest numbers."""


@dataclass
class Place:
    """Where a run is; what a checkpoint remembers beside the tensors.

    Attributes:
        before: steps of the stages before this one.
        step: steps of this stage that are done.
        elapsed_s: what this stage took so far, over all its sittings.
        reserve_s: of a time budget, for the evaluation at the end.
        tokens: read in this stage so far, over all ranks.
        best: the best accuracy so far on the set that selects.
        result: the step whose weights the stage ends with.
    """

    stage: str
    before: int = 0
    step: int = 0
    elapsed_s: float = 0.0
    reserve_s: float = 0.0
    tokens: int = 0
    best: float | None = None
    result: int | None = None

    @property
    def global_step(self) -> int:
        """Steps of all stages that are done."""
        return self.before + self.step


class StageRun:
    """One stage.

    Args:
        meta: what goes with every checkpoint.
    """

    def __init__(
        self,
        config: TrainConfig,
        part: StagePart,
        sets: StageSets,
        model: RewardModel,
        optimizer: Optimizer,
        *,
        log: Log | SilentLog,
        progress: Progress,
        checkpoints: Path,
        meta: Mapping[str, Any],
    ) -> None:
        self._config, self._stage, self._name = config, part.stage, part.name
        self._model, self._optimizer = model, optimizer
        self._log, self._progress, self._root, self._meta = log, progress, checkpoints, meta
        self._train = sets.train.open()
        self._validation = {name: found.open() for name, found in sets.validation.items()}
        rows = rows_of(part.stage.loss.kind, self._train.sequences, self._train.pairs)
        self._plan = Plan(rows, epochs=part.stage.epochs, batch=part.stage.batch, seed=config.seed)

    def go(self, place: Place) -> dict[str, Evaluated]:
        """Train from `place`, which is moved on, to the end of the stage; leave its result in the model.

        Returns:
            What the result reaches on every validation set.
        """
        began = time.monotonic() - place.elapsed_s
        if place.step == 0:
            self._evaluate(place)
            place.reserve_s = _agreed(time.monotonic() - began)
        saved_s = place.elapsed_s
        schedule = self._schedule(place)
        while True:
            place.elapsed_s = _agreed(time.monotonic() - began)
            done = schedule.progress(place.step, place.elapsed_s)
            if done >= 1:
                break
            if self._checkpoint_is_due(place, place.elapsed_s - saved_s):
                self._save(self._root, place, self._config.checkpoints.keep)
                saved_s = place.elapsed_s
            self._step(place, done, schedule.lr(done))
            interval = self._config.evaluation.every_steps
            if interval and place.step % interval == 0 and place.step < self._plan.total_steps:
                self._evaluate(place)
        self._save(self._root, place, self._config.checkpoints.keep)
        return self._result(place)

    def _schedule(self, place: Place) -> Schedule:
        minutes = self._stage.time_budget_minutes
        budget_s = None if minutes is None else max(1.0, 60 * minutes - place.reserve_s)
        return Schedule(self._stage.lr, self._plan.total_steps, self._stage.warmup, budget_s)

    def _checkpoint_is_due(self, place: Place, since_s: float) -> bool:
        settings = self._config.checkpoints
        by_steps = settings.every_steps is not None and place.step > 0 and place.step % settings.every_steps == 0
        return by_steps or (settings.every_minutes is not None and since_s >= 60 * settings.every_minutes)

    def _save(self, root: Path, place: Place, keep: int) -> None:
        state = dataclasses.asdict(place)
        checkpoint.save(root, place.global_step, self._model, self._optimizer, state=state, meta=self._meta, keep=keep)

    def _step(self, place: Place, done: float, lr: float) -> None:
        began = time.monotonic()
        units = self._plan.units(place.step)
        tokens = self._train.tokens[units].tolist()
        totals = Totals.of(self._train.target_weights[units], self._train.pair_weights[units])
        layout = self._model.layout
        packed = micro_batches(tokens, self._stage.micro_batch_tokens, layout.dp)[layout.dp_rank :: layout.dp]
        sums = torch.zeros(3, dtype=torch.float64)
        for positions in packed:
            sums += self._micro_batch(units[positions].tolist(), int(units[0]), totals)
        parallel.reduce_gradients(self._model)
        norm = parallel.clip_gradients(self._model, self._stage.clip)
        self._optimizer.step(lr)
        place.step += 1
        place.tokens += sum(tokens)
        loss, won, pairs = parallel.sum_over_dp(sums).tolist()
        seconds = time.monotonic() - began
        self._report_step(place, done, {
            "loss": loss,
            **({"accuracy": won / pairs} if pairs else {}),
            "grad_norm": norm,
            "lr": lr,
            "tokens_seen": place.tokens,
            "tokens_per_s": sum(tokens) / seconds,
            "seconds": seconds,
        })  # fmt: skip

    def _micro_batch(self, units: list[int], spare: int, totals: Totals) -> torch.Tensor:
        """Forward and backward over some units: (loss, weight of pairs won, weight of pairs), float64.

        A rank that has none reads `spare` for nothing: the others wait for it.
        """
        batch = MicroBatch.of([self._train[index] for index in units or [spare]])
        batch = (batch if units else batch.weightless()).to(device.torch_device())
        scores = self._model(batch.packed)
        loss = loss_of(scores, batch, self._stage.loss, totals)
        loss.backward()
        with torch.no_grad():
            better, worse = scores[batch.better], scores[batch.worse]
            won = (batch.pair_weights * ((better > worse).float() + 0.5 * (better == worse))).sum()
            return torch.stack([loss.detach(), won, batch.pair_weights.sum()]).double().cpu()

    def _report_step(self, place: Place, done: float, numbers: dict[str, float]) -> None:
        if place.step % self._config.logging.every_steps == 0:
            self._log.write(self._row("step", place) | numbers)
        line = f"{self._name} step {place.step} of {self._plan.total_steps}, loss {numbers['loss']:.4f}"
        self._progress.at(done, f"{line}, {numbers['tokens_per_s']:.0f} tokens/s")

    def _row(self, kind: str, place: Place) -> dict[str, Any]:
        return {"kind": kind, "stage": self._name, "step": place.step, "global_step": place.global_step}

    def _evaluate(self, place: Place) -> None:
        """In mid-training: a part of every set, all of the one that selects."""
        selects = self._config.evaluation.select_by
        for name in self._validation:
            rows = None if name == selects else self._config.evaluation.rows
            found = self._evaluate_set(name, place, rows)
            if name == selects:
                self._keep_if_best(found, place)

    def _evaluate_set(self, name: str, place: Place, rows: int | None, kind: str = "evaluation") -> Evaluated:
        found = evaluate(self._model, self._validation[name], self._stage.micro_batch_tokens, rows)
        headline = found.figures.headline()
        self._log.write({**self._row(kind, place), "set": name, "units": found.figures.units, **headline})
        shown = ", ".join(f"{key} {headline[key]:.4f}" for key in ("accuracy", "mse", "spearman") if key in headline)
        self._progress.say(f"{self._name}, {kind} at step {place.step}, {name} ({found.figures.units} units): {shown}")
        return found

    def _keep_if_best(self, found: Evaluated, place: Place) -> None:
        accuracy = found.figures.headline().get("accuracy", -found.figures.mse)
        if place.best is None or accuracy > place.best:
            place.best = accuracy
            self._save(self._best_root, place, keep=1)

    @property
    def _best_root(self) -> Path:
        return self._root / f"{_BEST}-{self._name}"

    def _result(self, place: Place) -> dict[str, Evaluated]:
        """The whole evaluation of what the stage ends with: its last weights, or the chosen ones."""
        place.result = place.step
        if self._config.evaluation.select_by is not None:
            self._evaluate(place)
            best = checkpoint.latest(self._best_root)
            if best is not None and checkpoint.read(best).step != place.global_step:
                saved = checkpoint.load(best, self._model, self._optimizer)
                place.result = saved.step - place.before
                self._progress.say(f"{self._name} ends with the weights of step {place.result}")
        return {name: self._evaluate_set(name, place, rows=None, kind="result") for name in self._validation}


def _agreed(value: float) -> float:
    """The first rank's number on every rank, so that none decides otherwise."""
    tensor = torch.tensor([value], dtype=torch.float64, device=device.torch_device())
    dist.broadcast(tensor, 0)
    return float(tensor)
