"""A whole run on one rank: the model, both stages in order, and where a killed one goes on.

The order of a stage's end makes every moment safe to be killed at: its last checkpoint, its export, its report, the
next stage. Each is skipped where it is there already.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from coderm_slime.errors import CodermError
from coderm_slime.files import held
from rm_train import checkpoint, convert, parallel
from rm_train.config import STAGES, StageName, StagePart, TrainConfig
from rm_train.data.prepare import StageSets, prepare
from rm_train.head_start import fit_head
from rm_train.log import Log, SilentLog
from rm_train.loop import Place, Progress, StageRun
from rm_train.model import RewardModel, build
from rm_train.optimizer import Optimizer
from rm_train.outlook import memory_of_a_rank
from rm_train.report import write_report
from rm_train.shape import BackboneShape

CHECKPOINTS = "checkpoints"
# What may change between a run and its continuation: where things lie and how work is shared, not what is computed.
_MAY_CHANGE = {"output", "model", "tp", "recompute", "data", "evaluation", "checkpoints", "logging"}
_STAGE_MAY_CHANGE = ("micro_batch_tokens", "time_budget_minutes")


def train(config: TrainConfig, progress: Progress) -> None:
    """Train all stages, or what is left of them; every rank calls this.

    Raises:
        CodermError: the data, the model or an earlier run in the output folder does not fit the configuration.
    """
    layout = parallel.start(config.tp)
    sets = prepare(config)
    memory_of_a_rank(config, layout)
    model = build(BackboneShape.of(config.model), layout, getattr(torch, config.dtype), recompute=config.recompute)
    with _held(config.output):
        _Run(config, sets, model, progress).go()
    parallel.stop()


@contextmanager
def _held(output: Path) -> Iterator[None]:
    """Keep other runs off the output folder; a killed one holds it no longer."""
    if dist.get_rank() != 0:
        yield
        return
    busy = CodermError(f"another run is at work in {output}; end it, or name another output folder")
    with held(output / ".lock", busy):
        yield


@dataclass
class _Run:
    config: TrainConfig
    sets: dict[StageName, StageSets]
    model: RewardModel
    progress: Progress

    def go(self) -> None:
        root = self.config.output / CHECKPOINTS
        folder = checkpoint.latest(root)
        place = self._start() if folder is None else self._place_in(folder)
        log = Log(self.config, place.global_step) if dist.get_rank() == 0 else SilentLog()
        names: list[str] = [part.name for part in self.config.parts]
        for part in self.config.parts[names.index(place.stage) :]:
            if part.name != place.stage:  # the stage before has just ended
                place, folder = Place(part.name, before=place.global_step), None
            optimizer = Optimizer(self.model, lr=part.stage.lr, weight_decay=part.stage.weight_decay)
            if folder is not None:
                checkpoint.load(folder, self.model, optimizer)
                self.progress.say(f"going on from {folder.name}: stage {place.stage}, step {place.step}")
            stage = StageRun(
                self.config,
                part,
                self.sets[part.name],
                self.model,
                optimizer,
                log=log,
                progress=self.progress,
                checkpoints=root,
                meta=self._meta(),
            )
            found = stage.go(place)
            optimizer.close()
            self._export(part)
            if dist.get_rank() == 0:
                write_report(self.config.output, part.name, place, found)
        log.close()

    def _start(self) -> Place:
        """The model as it is before the first step."""
        head, part = self.config.head, self.config.parts[0]
        kinds = {"keep": convert.Head.KEPT, "random": convert.Head.NORMAL}
        convert.load(self.config.model, self.model, kinds.get(head.start, convert.Head.ZERO), seed=self.config.seed)
        if head.start == "ridge":
            self.progress.say(f"fitting the head on at most {head.rows} training units ...")
            note = fit_head(
                self.model,
                self.sets[part.name].train.open(),
                part.stage.loss,
                rows=head.rows,
                seed=self.config.seed,
                budget=part.stage.micro_batch_tokens,
            )
            self.progress.say(note)
        return Place(part.name)

    def _place_in(self, folder: Path) -> Place:
        saved = checkpoint.read(folder)
        for key, ours in self._meta().items():
            if (theirs := saved.meta.get(key)) != ours:
                raise CodermError(
                    f"{folder} was trained with {_difference(theirs, ours, key)}; another run needs another output "
                    "folder"
                )
        try:
            return Place(**saved.state)
        except TypeError as error:
            raise CodermError(f"{folder} holds another trainer's state: {error}") from error

    def _meta(self) -> dict[str, Any]:
        settings = json.loads(self.config.model_dump_json(exclude=_MAY_CHANGE))
        for name in STAGES:
            for key in _STAGE_MAY_CHANGE:
                settings["stages"][name].pop(key)
        data = {name: sets.train.fingerprint for name, sets in self.sets.items()}
        return {"settings": settings, "data": data}

    def _export(self, part: StagePart) -> None:
        folder = self.config.output / part.name
        if not folder.exists():
            self.progress.say(f"writing the model of stage {part.name} ...")
            convert.export(self.model, self.config.model, folder, max_tokens=self.config.max_tokens)
        dist.barrier()
        self.progress.say(f"ready to be served: {folder}")


def _difference(theirs: Any, ours: Any, key: str) -> str:
    """Where two settings differ first, by dotted key, with both values."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for inner in sorted({*theirs, *ours}, key=str):
            if theirs.get(inner) != ours.get(inner):
                return _difference(theirs.get(inner), ours.get(inner), f"{key}.{inner}")
    return f"{key.removeprefix('settings.')}={theirs!r}, now it is {ours!r}"
