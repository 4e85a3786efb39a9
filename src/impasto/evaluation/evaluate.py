"""Everything that is said of a trained model: likelihood, and the quality and speed of its samples."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from impasto.data.dataset import Dataset, drawn
from impasto.device import seeded
from impasto.errors import DataError
from impasto.evaluation import likelihood, samples

if TYPE_CHECKING:
    from impasto.training.contract import Model

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
        classifier: whose features of the samples are compared; without it only the likelihood is measured.
        train: real pictures for the floor of the Fréchet distance.
        n: number of samples, and of real pictures at most, which are drawn evenly with `seed`.
        held_out: number of test pictures for the likelihood, drawn in the same way; None: all.
        options: of `model.sampling`.

    Raises:
        DataError: too few pictures.
    """
    figures: dict[str, Any] = {}
    for data in () if classifier is None else (test, train):
        if data is not None and min(len(data), n) < samples.FEWEST:
            raise DataError(
                f"{data.name} has {len(data)} pictures where samples are compared; {samples.FEWEST} are needed"
            )
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
        made = torch.cat(pictures)
        binary = bool(((made == 0) | (made == 1)).all())
        real = [data.batch(drawn(data, n, seed)).images for data in (test, train) if data is not None]
        if binary:  # two-level samples beside two-level pictures
            real = [likelihood.binarised(images) for images in real]
        yield Progress("features", n, n, {})
        quality = samples.compare(classifier, made, real[0], torch.cat(labels) if labels else None)
        figures["samples"] = {**asdict(quality), "n": n, "real": len(real[0]), "of": len(test), "binary": binary}
        figures["samples"]["seconds each"] = seconds
        if len(real) > 1:
            figures["samples"]["floor"] = samples.frechet(
                *(samples.classified(classifier, images)[0] for images in real)
            )
    yield Progress("done", 1, 1, figures)
