"""The optimisers by name. "muon" is two: Muon for matrices, AdamW for the rest."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

OPTIMISERS = ("adamw", "muon", "sgd")


def build(
    name: str, parameters: list[nn.Parameter], *, betas: tuple[float, ...], momentum: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """The optimisers that together step `parameters`; their learning rate is set anew at each step.

    Weight decay is for weights alone: biases, gains and other parameters of one dimension have none.
    """
    wide = [p for p in parameters if p.ndim > 1]
    narrow = [p for p in parameters if p.ndim <= 1]
    built: list[torch.optim.Optimizer] = []
    if name == "muon":
        matrices = [p for p in wide if min(len(p), p[0].numel()) > 1]  # a single row or column has no directions
        narrow += [p for p in wide if min(len(p), p[0].numel()) <= 1]
        if matrices:
            built.append(_muon(matrices, momentum, weight_decay))
        wide = []
    groups = [{"params": wide, "weight_decay": weight_decay}, {"params": narrow, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if groups and name == "sgd":
        built.append(torch.optim.SGD(groups, momentum=0.9, nesterov=True, fused=True))
    elif groups:
        built.append(torch.optim.AdamW(groups, betas=(betas[0], betas[1]), fused=True))
    return built


KEPT = {  # what each optimiser remembers of a parameter
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.Muon: {"momentum_buffer"},
    torch.optim.SGD: {"momentum_buffer"},
}


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
        if remembered.keys() != KEPT[type(optimiser)]:
            raise ValueError("another optimiser")
        for name, tensor in remembered.items():
            if tensor.shape != (() if name == "step" else parameters[number].shape):
                raise ValueError("other parameters")
    optimiser.load_state_dict({"state": saved["state"], "param_groups": own})


def _muon(weights: list[nn.Parameter], momentum: float, weight_decay: float) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024) on weights of any shape, each seen as a matrix [outputs, everything else].

    Torch's own takes matrices only. These share their memory with the weights; the gradients are handed over before
    each step. The order of the columns, which is another for channels_last, does not matter to Muon.
    """
    shapes: list[Callable[[Tensor], Tensor]] = [
        (lambda t: t.flatten(1)) if w.is_contiguous() or w.ndim == 2 else (lambda t: t.movedim(1, -1).flatten(1))
        for w in weights
    ]
    matrices = [nn.Parameter(shape(w.detach())) for shape, w in zip(shapes, weights, strict=True)]
    assert all(m.data_ptr() == w.data_ptr() for m, w in zip(matrices, weights, strict=True)), "a matrix is a copy"

    def hand_over(*_: Any) -> None:
        for shape, matrix, weight in zip(shapes, matrices, weights, strict=True):
            matrix.grad = None if weight.grad is None else shape(weight.grad)

    muon = torch.optim.Muon(matrices, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
    muon.register_step_pre_hook(hand_over)
    return muon
