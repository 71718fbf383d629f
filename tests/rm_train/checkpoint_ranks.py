"""What the ranks of the checkpoint tests do; run by torchrun. Trains to a step, resuming from what is there.

python checkpoint_ranks.py JSON: see `Job`. Writes the losses of the steps it took, by step.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from helpers.pack import sequences
from rm_train import checkpoint, convert, model, parallel
from rm_train.optimizer import Optimizer
from rm_train.packed import Packed
from rm_train.shape import BackboneShape

TARGETS = torch.tensor([0.0, 1.0, 0.25, 0.75])


@dataclass(frozen=True)
class Job:
    """`hang_in_save`: at that step the checkpoint is written, and before it gets its name the process waits for its
    end; a file MARK says that it does.
    """

    tp: int
    model: str
    dtype: str
    root: str
    losses: str
    until: int
    save_at: tuple[int, ...]
    hang_in_save: int | None = None
    mark: str = ""


def run(job: Job, layout: parallel.Layout) -> None:
    shape = BackboneShape.of(Path(job.model))
    reward_model = model.build(shape, layout, getattr(torch, job.dtype))
    convert.load(Path(job.model), reward_model, convert.Head.KEPT)
    optimizer = Optimizer(reward_model, lr=1e-3, weight_decay=0.1)
    step, losses = 0, {}
    if (folder := checkpoint.latest(Path(job.root))) is not None:
        saved = checkpoint.load(folder, reward_model, optimizer)
        assert saved.state == {"place": saved.step * 10}
        step = saved.step
    while step < job.until:
        losses[step] = train(reward_model, optimizer, layout, step)
        step += 1
        if step in job.save_at:
            if step == job.hang_in_save:
                checkpoint._publish = lambda *_: hang(Path(job.mark))
            state, meta = {"place": step * 10}, {"data": "abc"}
            checkpoint.save(Path(job.root), step, reward_model, optimizer, state=state, meta=meta, keep=2)
    if torch.distributed.get_rank() == 0:
        Path(job.losses).write_text(json.dumps(losses))


def train(reward_model: model.RewardModel, optimizer: Optimizer, layout: parallel.Layout, step: int) -> float:
    """One step of two micro-batches on the sequences, rotated by `step`."""
    batch = sequences(reward_model.shape.vocab)
    mine = [(index + step) % len(batch) for index in range(layout.dp_rank, len(batch), layout.dp)]
    total = torch.zeros(())
    for index in mine:  # a micro-batch each
        score = reward_model(Packed.of([batch[index]]))
        loss = (score - TARGETS[index]).square().sum() / len(batch)
        loss.backward()
        total += loss.detach()
    parallel.reduce_gradients(reward_model)
    parallel.clip_gradients(reward_model, 1.0)
    optimizer.step(1e-3 / (step + 1))
    return float(parallel.sum_over_dp(total))


def hang(mark: Path) -> None:
    mark.touch()
    while True:
        time.sleep(1)


if __name__ == "__main__":
    jobs = [Job(**job) for job in json.loads(sys.argv[1])]
    ranks = parallel.start(jobs[0].tp)
    for job in jobs:
        run(job, ranks)
    parallel.stop()
