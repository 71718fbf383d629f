"""What the ranks of the GPU tests do; run by torchrun. Any failed check ends the run. NOT RUN by its authors.

python gpu_ranks.py TP (parity keep|recompute | save ROOT | resume ROOT | memory -) MODEL
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cosine_similarity

from helpers.pack import COEFFICIENTS, sequences
from rm_train import checkpoint, convert, device, memory, model, parallel
from rm_train.convert.export import hugging_face_tensors
from rm_train.optimizer import Optimizer
from rm_train.packed import Packed
from rm_train.shape import BackboneShape

# bfloat16 keeps 8 bits, and two implementations round at different places.
_SCORES_OFF = 0.05  # of their spread
_LEAST_COSINE = 0.98
_MEMORY_OFF = 0.25


def built(folder: Path, layout: parallel.Layout, recompute: bool = False) -> model.RewardModel:
    made = model.build(BackboneShape.of(folder), layout, torch.bfloat16, recompute=recompute)
    convert.load(folder, made, convert.Head.KEPT)
    return made


def loss_of(scores: torch.Tensor) -> torch.Tensor:
    return (scores.float() * torch.tensor(COEFFICIENTS, device=scores.device)).sum()


def parity(layout: parallel.Layout, recompute: str, folder: Path) -> None:
    ours = built(folder, layout, recompute == "recompute")
    scores = ours(Packed.of(sequences(ours.shape.vocab)))
    loss_of(scores).backward()
    parallel.reduce_gradients(ours)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.copy_(parallel.gradient_of(parameter))
    expected, gradients = hugging_face(folder)
    assert float((scores.detach() - expected.detach()).abs().max()) < _SCORES_OFF * float(
        (expected.max() - expected.min()).detach()
    )
    for name, gradient in hugging_face_tensors(ours):
        alike = cosine_similarity(gradient.flatten().float(), gradients[name].flatten().float(), dim=0)
        assert float(alike) > _LEAST_COSINE, name


def hugging_face(folder: Path) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    import transformers

    theirs: Any = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    theirs.to(device.torch_device())
    batch = sequences(theirs.config.vocab_size)
    scores = torch.cat([theirs(torch.tensor([ids], device=theirs.device)).logits[0] for ids in batch])
    loss_of(scores).backward()
    return scores.float(), {name: parameter.grad.cpu() for name, parameter in theirs.named_parameters()}


def stepped(layout: parallel.Layout, folder: Path, root: Path, *, resume: bool) -> None:
    """Save after one step, or resume from there; then the second step's scores are what they were."""
    ours = built(folder, layout)
    optimizer = Optimizer(ours, lr=1e-3)
    batch = Packed.of(sequences(ours.shape.vocab))
    if resume:
        before = checkpoint.load(checkpoint.latest(root), ours, optimizer).state["scores"]
        now = ours(batch).tolist()
        spread = max(before) - min(before)
        assert max(abs(a - b) for a, b in zip(before, now, strict=True)) < _SCORES_OFF * spread
        return
    loss_of(ours(batch)).backward()
    parallel.reduce_gradients(ours)
    parallel.clip_gradients(ours, 1.0)
    optimizer.step()
    state = {"scores": ours(batch).tolist()}
    # `run` goes through three families: the last one saved is the one that is resumed.
    step = 1 if (last := checkpoint.latest(root)) is None else checkpoint.read(last).step + 1
    checkpoint.save(root, step, ours, optimizer, state=state, meta={})


def memory_at_the_peak(layout: parallel.Layout, folder: Path) -> None:
    shape = dataclasses.replace(BackboneShape.of(folder), layers=8, hidden=1024, ffn=4096, heads=16, kv_groups=4)
    made = model.build(shape, layout, torch.bfloat16)
    optimizer = Optimizer(made, lr=1e-3)
    batch = Packed.of([[1] * 512] * 32)
    for _ in range(2):
        made(batch).sum().backward()
        parallel.reduce_gradients(made)
        optimizer.step()
    need = memory.estimate(shape, layout, tokens_per_micro_batch=len(batch.tokens), fused=True, mixed=True)
    assert abs(torch.cuda.max_memory_allocated() / need.total - 1) < _MEMORY_OFF, str(need)


if __name__ == "__main__":
    tp, what, option, name = sys.argv[1:]
    ranks = parallel.start(int(tp))
    if what == "parity":
        parity(ranks, option, Path(name))
    elif what == "memory":
        memory_at_the_peak(ranks, Path(name))
    else:
        stepped(ranks, Path(name), Path(option), resume=what == "resume")
    parallel.stop()
