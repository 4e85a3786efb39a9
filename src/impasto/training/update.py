"""What a model hands to the trainer, once per group of parameters and step."""

from typing import NamedTuple

from torch import Tensor


class Update(NamedTuple):
    """One step for the optimiser of one group of parameters."""

    group: str
    loss: Tensor  # scalar, with its graph
    metrics: dict[str, Tensor | float]  # to be plotted, in the field's units
