"""Likelihood of held-out pictures: nats per picture, bits per dimension, and under which protocol."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.data.dataset import Dataset, drawn
from impasto.data.levels import brightness, quantise
from impasto.device import seeded
from impasto.errors import DataError
from impasto.training.contract import HasLikelihood, Model

FIXED_SEED = 0  # of the one draw of the fixed protocol
BATCH = 100  # pictures measured at a time


@dataclass(frozen=True)
class Likelihood:
    """Mean negative log-likelihood of a data set. Figures of different protocols are not to be compared."""

    nats: float  # per picture; lower is better
    bits_per_dim: float  # nats / (log 2 x channels x pixels)
    error: float  # standard error of `nats` over the pictures
    kind: str  # "exact", or "bound": the true figure is no higher
    protocol: str  # "fixed", "dynamic" (two levels) or "levels": as the file has them
    pictures: int  # that were measured
    of: int  # that the data set has


@torch.no_grad()
def measuring(
    model: Any,
    data: Dataset,
    protocol: str,
    *,
    seed: int = FIXED_SEED,
    pictures: int | None = None,
) -> Iterator[int | Likelihood]:
    """Measure `model` on `pictures` of `data`, drawn evenly, or all: yield how many are done, and at last the figure.

    Two-level models see binarised pictures. *fixed*: one Bernoulli draw of the data set with `FIXED_SEED`, the same
    for everyone, and for a picture the same whether or not others are measured. *dynamic*: a draw of its own for every
    `seed`.

    Raises:
        DataError: a single picture, of which there is no error of the mean.
    """
    levels, nats = model.config.levels, []
    latents = seeded(seed)  # for bounds that draw at random
    drawing = torch.Generator().manual_seed(FIXED_SEED if protocol == "fixed" else seed + 1)
    chosen = drawn(data, pictures, seed).sort().values
    if len(chosen) < 2:
        raise DataError(f"{data.name} has {len(data)} pictures to measure a likelihood on; it takes 2")
    blank, turn = torch.zeros(data.channels, data.size, data.size), 0
    for indices in chosen.split(BATCH):
        shown = data.batch(indices)
        quantised = []
        for index, image in zip(indices.tolist(), shown.images, strict=True):
            while turn < index and levels == 2:  # what is left out has its share of the draw
                quantise(blank, levels, drawing)
                turn += 1
            quantised.append(quantise(image, levels, drawing))
            turn = index + 1
        images = brightness(torch.stack(quantised), levels).to(model.device)
        labels = None if shown.labels is None else shown.labels.to(model.device)
        nats += (-model.log_likelihood(images, labels, latents)).tolist()
        yield len(nats)
    dimensions = data.channels * data.size**2
    yield Likelihood(
        nats=(mean := statistics.fmean(nats)),
        bits_per_dim=mean / math.log(2) / dimensions,
        error=statistics.stdev(nats) / math.sqrt(len(nats)),
        kind=model.likelihood,
        protocol=protocol,
        pictures=len(chosen),
        of=len(data),
    )


def protocols(model: Model) -> tuple[str, ...]:
    """The protocols under which `model` is measured; none if it has no likelihood."""
    if not isinstance(model, HasLikelihood):
        return ()
    return ("dynamic", "fixed") if model.config.levels == 2 else ("levels",)


def binarised(images: Tensor) -> Tensor:
    """One Bernoulli draw of `images` in [0, 1], as pictures."""
    return brightness(quantise(images, 2, torch.Generator().manual_seed(FIXED_SEED)), 2)
