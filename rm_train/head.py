"""A score head fitted on pairs while the backbone stays as it is: minutes on a CPU. Not the paper's training.

Bradley and Terry's model on the frozen backbone's last hidden state h: the loss is -log sigmoid(w (h_chosen -
h_rejected)) with a ridge penalty, whose strength is chosen by the loss on problems that the fit has not seen. It shows
the path with a real model where training is not affordable; the two-stage training (paper, section 3) is not this.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from coderm_slime.chat import Renderer, as_response
from coderm_slime.errors import CodermError
from coderm_slime.records import PairExample
from coderm_slime.scoring.server.reward_engine import RewardEngine
from coderm_slime.scoring.weights import tensors_in

_RIDGES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # of standardised features, per pair
_FOLDS = 6
_STEPS = 100  # of L-BFGS: the problem is convex and small
_CHUNK = 16  # sequences between two signs of life
HEAD = "score.weight"
FIT_FILE = "coderm_head.json"


@dataclass(frozen=True)
class HeadFit:
    """How the fit went.

    Attributes:
        weight: the head, (hidden,).
        ridge: the penalty's chosen strength.
        train_accuracy: share of training pairs ordered rightly; near 1 says nothing.
        held_out_accuracy: the same on problems left out of the fit, by cross-validation; it also chose `ridge`, so it
            flatters a little.
    """

    weight: torch.Tensor
    ridge: float
    pairs: int
    problems: int
    train_accuracy: float
    held_out_accuracy: float


def fit_head(
    model: Path, pairs: Sequence[PairExample], folder: Path, dtype: str, seen: Callable[[int, int], None]
) -> HeadFit:
    """Fit a new head for the reward model in the folder `model` and write the whole model to `folder`.

    Args:
        seen: called with how many of how many programs the backbone has read.

    Raises:
        CodermError: `folder` holds something, fewer than two problems, or a program that does not fit the model.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CodermError(f"{folder} exists and is no empty folder; nothing there is overwritten, name another")
    features = _features(model, pairs, dtype, seen)
    chosen, rejected = (
        torch.stack([features[pair.problem, side] for pair, side in zip(pairs, sides, strict=True)])
        for sides in ([pair.chosen for pair in pairs], [pair.rejected for pair in pairs])
    )
    fit = fit_on_features(chosen, rejected, [pair.key for pair in pairs])
    _write(model, fit, folder)
    return fit


def fit_on_features(chosen: torch.Tensor, rejected: torch.Tensor, groups: Sequence[str]) -> HeadFit:
    """Fit the head on (pairs, hidden) features of both sides; `groups` names each pair's problem.

    The head has no bias, and pairs do not say where 0 lies. It is kept at right angles to the features' mean, so that
    logits lie around 0: else they would be small differences of large numbers, of which bfloat16 keeps little.

    Raises:
        CodermError: fewer than two problems.
    """
    mean = torch.cat([chosen, rejected]).mean(dim=0)
    mean = mean / mean.norm().clamp(min=1e-6)
    difference = without(chosen - rejected, mean)
    folds = folds_of(groups)
    scale = difference.std(dim=0).clamp(min=1e-6)
    scaled = difference / scale
    held_out = {ridge: _held_out_margins(scaled, folds, ridge) for ridge in _RIDGES}
    ridge = min(_RIDGES, key=lambda ridge: _loss(held_out[ridge]))
    weight = _fitted(scaled, ridge)
    head = without(weight / scale, mean)
    return HeadFit(head, ridge, len(groups), len(set(groups)), _accuracy(scaled @ weight), _accuracy(held_out[ridge]))


def folds_of(groups: Sequence[str]) -> torch.Tensor:
    """The fold of each row, so that all rows of a problem are in one; (rows,).

    Raises:
        CodermError: fewer than two problems.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise CodermError(f"{len(names)} problem(s) among the rows: a fit needs at least two")
    fold_of = {name: number % _FOLDS for number, name in enumerate(names)}
    return torch.tensor([fold_of[group] for group in groups])


def without(rows: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """`rows` less their part along the unit vector `direction`."""
    return rows - (rows @ direction)[..., None] * direction


def _held_out_margins(difference: torch.Tensor, folds: torch.Tensor, ridge: float) -> torch.Tensor:
    """Each pair's margin by a fit on the other folds' problems."""
    margins = torch.empty(len(difference))
    for fold in folds.unique():
        margins[folds == fold] = difference[folds == fold] @ _fitted(difference[folds != fold], ridge)
    return margins


def _accuracy(margins: torch.Tensor) -> float:
    return float((margins > 0).float().mean())


def _loss(margins: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.softplus(-margins).mean()


def _fitted(difference: torch.Tensor, ridge: float) -> torch.Tensor:
    weight = torch.zeros(difference.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = _loss(difference @ weight) + ridge * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach()


def _features(
    model: Path, pairs: Sequence[PairExample], dtype: str, seen: Callable[[int, int], None]
) -> dict[tuple[str, str], torch.Tensor]:
    """The backbone's last hidden state on every different side, by problem and side."""
    renderer, engine = Renderer.load(str(model)), RewardEngine(model, dtype)
    sides = list(dict.fromkeys((pair.problem, side) for pair in pairs for side in (pair.chosen, pair.rejected)))
    batch = []
    for problem, side in sides:
        ids = renderer.render(problem, as_response(side))
        if ids is None:
            raise CodermError(f"a program is longer than {renderer.max_tokens} tokens: {side[:80]!r} …")
        batch.append(ids)
    order = sorted(range(len(batch)), key=lambda index: len(batch[index]))
    rows: dict[tuple[str, str], torch.Tensor] = {}
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        states = engine.features([batch[index] for index in chunk])
        rows |= {sides[index]: state for index, state in zip(chunk, states, strict=True)}
        seen(len(rows), len(sides))
    return rows


def _write(model: Path, fit: HeadFit, folder: Path) -> None:
    """Copy the model with another head; the folder is there whole or not at all."""
    from safetensors.torch import load_file, save_file

    head_file = tensors_in(model)[HEAD]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        draft = Path(scratch) / "model"
        shutil.copytree(model, draft)
        weights = load_file(draft / head_file)
        weights[HEAD] = fit.weight[None, :].to(weights[HEAD].dtype)
        save_file(weights, draft / head_file, metadata={"format": "pt"})
        facts = {
            "method": "ridge Bradley-Terry head on a frozen backbone",
            "pairs": fit.pairs,
            "problems": fit.problems,
            "ridge": fit.ridge,
            "train_accuracy": fit.train_accuracy,
            "held_out_accuracy": fit.held_out_accuracy,
        }
        (draft / FIT_FILE).write_text(json.dumps(facts, indent=1) + "\n")
        draft.replace(folder)
