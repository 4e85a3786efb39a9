"""Everything that is said of a trained model: likelihood, and the quality and speed of its samples."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from impasto.data.dataset import Dataset
from impasto.device import seeded
from impasto.evaluation import likelihood, samples

if TYPE_CHECKING:
    from impasto.models.base import Model

AT_A_TIME = 250  # samples


class Progress(NamedTuple):
    """What is being measured and how far it is; the last record carries the figures."""

    what: str
    done: int
    total: int
    figures: dict[str, Any]  # JSON values


@torch.no_grad()
def evaluating(
    model: "Model",
    test: Dataset,
    *,
    classifier: "Model | None" = None,
    train: Dataset | None = None,
    n: int = 10_000,
    held_out: int | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Progress]:
    """Measure `model` on the test set.

    Args:
        classifier: who looks at the samples; without it only likelihood is measured.
        train: real pictures for the floor of the Fréchet distance.
        n: number of samples, and of real pictures at most.
        held_out: number of test pictures for the likelihood; None: all.
        options: of `model.sampling`.
    """
    figures: dict[str, Any] = {}
    for protocol in likelihood.protocols(model):
        for found in likelihood.measuring(model, test, protocol, seed=seed, pictures=held_out):
            if isinstance(found, int):
                yield Progress(f"likelihood, {protocol}", found, min(len(test), held_out or len(test)), {})
            else:
                figures[f"likelihood {protocol}"] = asdict(found)
    if classifier is not None:
        pictures: list[Tensor] = []
        labels: list[Tensor] = []
        start = time.perf_counter()
        generator = seeded(seed)
        while (done := sum(len(part) for part in pictures)) < n:
            yield Progress("samples", done, n, {})
            wanted = model.classes_for(min(AT_A_TIME, n - done), None, generator)
            pictures.append(
                model.sample(min(AT_A_TIME, n - done), labels=wanted, generator=generator, **(options or {})).cpu()
            )
            labels += [] if wanted is None else [wanted]
        seconds = (time.perf_counter() - start) / n
        drawn = torch.cat(pictures)
        binary = bool(((drawn == 0) | (drawn == 1)).all())
        real = [first(data, n) for data in (test, train) if data is not None]
        if binary:  # two-level samples beside two-level pictures
            real = [likelihood.binarised(images) for images in real]
        yield Progress("features", n, n, {})
        quality = samples.compare(classifier, drawn, real[0], torch.cat(labels) if labels else None)
        figures["samples"] = {**asdict(quality), "n": n, "binary": binary, "seconds each": seconds}
        if len(real) > 1:
            figures["samples"]["floor"] = samples.frechet(*(samples.look(classifier, images)[0] for images in real))
    yield Progress("done", 1, 1, figures)


def first(data: Dataset, n: int) -> Tensor:
    """The first `n` pictures of `data`, whose order is random where that matters."""
    return data.batch(torch.arange(min(n, len(data)))).images
