"""AdamW with its state shared among data-parallel ranks; the same on CPU and GPU.

Each data-parallel rank owns some of the parameters: it keeps their moments, and for a bfloat16 model their float32
master weights, takes their step, and sends the result to the others (ZeRO's first stage, by whole parameters). A
bfloat16 model's gradients are summed over micro-batches in float32, in `main_grad` beside each parameter. Reducing and
clipping gradients comes before and is done in `parallel`; the learning rate's schedule is the caller's.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist

from rm_train import parallel
from rm_train.model import RewardModel

STEP = "step"
MASTER = "master"
_MOMENTS = ("exp_avg", "exp_avg_sq")
_PIECE_ELEMENTS = 64 * 1024 * 1024  # of one message to the other ranks


class Optimizer:
    """AdamW over a model's parameters; weight decay on matrices only, so not on norms and biases.

    Attributes:
        steps: how many were taken; AdamW's bias correction depends on it.

    Args:
        model: filled already; a bfloat16 model's master weights are copied from it.
        lr: of the first step, unless `step` is told another.
    """

    def __init__(
        self,
        model: RewardModel,
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self._parameters = dict(model.named_parameters())
        self._owners = _owners(self._parameters, model.layout.dp)
        self._mixed = model.score.weight.dtype != torch.float32
        self._hooks = [_sum_gradients_in_float32(one) for one in self._parameters.values() if self._mixed]
        # What AdamW steps: the parameter itself, or its float32 master.
        self._owned = {
            name: torch.nn.Parameter(parameter.detach().float()) if self._mixed else parameter
            for name, parameter in self._parameters.items()
            if self._owners[name] == model.layout.dp_rank
        }
        groups = [
            {"params": [p for p in self._owned.values() if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in self._owned.values() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._adamw = torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=True)
        self.steps = 0

    def zero_gradients(self) -> None:
        """Forget the gradients; `step` does so, too."""
        for parameter in self._parameters.values():
            parameter.grad = None
            if self._mixed:
                parameter.main_grad.zero_()

    def step(self, lr: float | None = None) -> None:
        """Take one step with the gradients as they stand, on all ranks, and forget them.

        Args:
            lr: the learning rate from now on; None leaves it.
        """
        for group in self._adamw.param_groups:
            group["lr"] = group["lr"] if lr is None else lr
        if self._mixed:
            for name, master in self._owned.items():
                master.grad = parallel.gradient_of(self._parameters[name])
        self._adamw.step()
        self.steps += 1
        self._publish()
        self.zero_gradients()

    def close(self) -> None:
        """Take off the parameters what this optimizer put there: a model has one at a time."""
        for hook in self._hooks:
            hook.remove()
        for parameter in self._parameters.values() if self._mixed else ():
            del parameter.main_grad

    def state(self) -> dict[str, dict[str, torch.Tensor]]:
        """Of every parameter that this rank owns: the moments and, of a bfloat16 model, `master`. Not copies.

        Before the first step the moments are zeros, and are made here.
        """
        for parameter in self._owned.values():
            self._ensure_moments(parameter)
        return {name: self._state_of(parameter) for name, parameter in self._owned.items()}

    def restore(self, state: Mapping[str, Mapping[str, torch.Tensor]], steps: int) -> None:
        """Go on from what `state` and `steps` gave, on this or another layout of ranks."""
        own = self.state()
        self.steps = steps
        with torch.no_grad():
            for name, tensors in own.items():
                for key, tensor in tensors.items():
                    tensor.copy_(state[name][key])
                self._adamw.state[self._owned[name]][STEP].fill_(steps)
        self.zero_gradients()

    def _ensure_moments(self, parameter: torch.nn.Parameter) -> None:
        state = self._adamw.state[parameter]
        if not state:
            state[STEP] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state.update({moment: torch.zeros_like(parameter) for moment in _MOMENTS})

    def _state_of(self, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor]:
        moments = {moment: self._adamw.state[parameter][moment] for moment in _MOMENTS}
        return {**moments, MASTER: parameter.detach()} if self._mixed else moments

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def _publish(self) -> None:
        """Bring every rank's parameters up to date with what their owners stepped."""
        if self._mixed:
            for name, master in self._owned.items():
                self._parameters[name].copy_(master)
        group = parallel.dp_group()
        if dist.get_world_size(group) == 1:
            return
        for owner in range(dist.get_world_size(group)):
            owned = [parameter for name, parameter in self._parameters.items() if self._owners[name] == owner]
            for piece in parallel.pieces(owned, _PIECE_ELEMENTS):
                parallel.broadcast(piece, owner, group)


def _owners(parameters: Mapping[str, torch.nn.Parameter], ranks: int) -> dict[str, int]:
    """The data-parallel rank that owns each parameter, so that all own about as much; the same on every rank."""
    load = [0] * ranks
    owners = {}
    for name, parameter in sorted(parameters.items(), key=lambda item: (-item[1].numel(), item[0])):
        owners[name] = load.index(min(load))
        load[owners[name]] += parameter.numel()
    return owners


def _sum_gradients_in_float32(parameter: torch.nn.Parameter) -> Any:
    """Sum this parameter's gradients in `main_grad` from now on, until the handle that is returned is removed."""
    parameter.main_grad = torch.zeros_like(parameter, dtype=torch.float32)

    def add(parameter: torch.nn.Parameter) -> None:
        parameter.main_grad.add_(parameter.grad)
        parameter.grad = None

    return parameter.register_post_accumulate_grad_hook(add)
