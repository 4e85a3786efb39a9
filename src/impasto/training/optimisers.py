"""The optimisers by name. "muon" is two: Muon for matrices, AdamW for the rest."""

from typing import Any

import torch
from torch import Tensor, nn

from impasto.device import autocast_dtype
from impasto.training.settings import Training


def build(settings: Training, parameters: list[nn.Parameter]) -> list[torch.optim.Optimizer]:
    """The optimisers that together step `parameters`; their learning rate is set anew at each step.

    Weight decay is for weights alone: biases, gains and other parameters of one dimension have none.
    """
    wide = [p for p in parameters if p.ndim > 1]
    narrow = [p for p in parameters if p.ndim <= 1]
    built: list[torch.optim.Optimizer] = []
    if settings.optimiser == "muon":
        matrices = [p for p in wide if min(len(p), p[0].numel()) > 1]  # a single row or column has no directions
        narrow += [p for p in wide if min(len(p), p[0].numel()) <= 1]
        if matrices:
            built.append(Muon(matrices, settings.momentum, settings.weight_decay))
        wide = []
    groups = [{"params": wide, "weight_decay": settings.weight_decay}, {"params": narrow, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if groups and settings.optimiser == "sgd":
        built.append(torch.optim.SGD(groups, momentum=0.9, nesterov=True, fused=True))
    elif groups:
        built.append(torch.optim.AdamW(groups, betas=(settings.betas[0], settings.betas[1]), fused=True))
    return built


def restore(optimiser: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Give `optimiser` what one like it remembered; its own settings, such as the weight decay, stay.

    Raises:
        ValueError: `saved` is of another kind of optimiser, or of other parameters.
    """
    own = optimiser.state_dict()["param_groups"]
    if [len(group["params"]) for group in saved["param_groups"]] != [len(group["params"]) for group in own]:
        raise ValueError("other groups of parameters")
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for number, remembered in saved["state"].items():
        stepped = parameters[number]
        if isinstance(optimiser, Muon):
            stepped = as_matrix(stepped, stepped)
        if remembered.keys() != KEPT[type(optimiser)]:
            raise ValueError("another optimiser")
        for name, tensor in remembered.items():
            if tensor.shape != (() if name == "step" else stepped.shape):
                raise ValueError("other parameters")
    optimiser.load_state_dict({"state": saved["state"], "param_groups": own})


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) on weights of any shape, each seen as a matrix [outputs, everything else].

    It is `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`, but for two things: that takes matrices only, and
    computes in bfloat16 also where a processor is slow at it.
    """

    def __init__(self, weights: list[nn.Parameter], momentum: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": 1e-3, "momentum": momentum, "weight_decay": weight_decay})
        assert all(as_matrix(w, w).data_ptr() == w.data_ptr() for w in weights), "a matrix is a copy"
        self.dtype = autocast_dtype(weights[0].device) or torch.float32

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                matrix, gradient = as_matrix(weight, weight), as_matrix(weight.grad, weight)
                state = self.state[weight]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(gradient)
                running = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
                direction = orthogonal(gradient.lerp(running, momentum).to(self.dtype))
                matrix.mul_(1 - rate * group["weight_decay"])
                matrix.sub_(direction, alpha=rate * 0.2 * max(matrix.shape) ** 0.5)  # as large as steps of AdamW


def as_matrix(values: Tensor, weight: Tensor) -> Tensor:
    """`values` of a `weight` [outputs, ...] as [outputs, everything else], without a copy where they lie as it does.

    The order of the columns, which is another for channels_last, does not matter to Muon.
    """
    return (values if weight.is_contiguous() or weight.ndim == 2 else values.movedim(1, -1)).flatten(1)


def orthogonal(matrix: Tensor) -> Tensor:
    """`matrix` with singular values near 1, by five steps of Newton and Schulz with Jordan's coefficients."""
    wide = matrix.T if len(matrix) > matrix.shape[1] else matrix
    x = wide / wide.norm().clamp_min(1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=-4.775, alpha=2.0315), x, beta=3.4445)
    return x if wide is matrix else x.T


KEPT = {  # what each optimiser remembers of a parameter
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    Muon: {"momentum_buffer"},
    torch.optim.SGD: {"momentum_buffer"},
}
