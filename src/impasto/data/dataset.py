"""What a data set is: square pictures as bytes, their classes, and batches of them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Pictures as the networks take them."""

    images: Tensor  # [N, C, S, S], float32 in [0, 1]
    labels: Tensor | None = None  # [N], int64, 0 .. classes - 1; None: the data have no classes


class Dataset(Protocol):
    """Square pictures that can be drawn by index; `Stored` holds them in memory, `folder.Streamed` reads them."""

    @property
    def name(self) -> str:
        """As the recipe of a trained model has it."""
        ...

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        ...

    @property
    def size(self) -> int:
        """Side in pixels."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """One for each class; none where the pictures have no classes."""

    @property
    def labels(self) -> Tensor | None:
        """[N], int64; None where the pictures have no classes."""

    @property
    def mirrored(self) -> bool:
        """Whether a mirror image is known to show the same class: a letter's, or that of a left shoe, does not."""

    @property
    def fingerprint(self) -> str:
        """A digest of what it was read from, by which a resumed training knows its pictures; "" where there is none."""

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor) -> Batch:
        """The pictures of `indices` [N], int64, as floats in [0, 1]."""
        ...


@dataclass(frozen=True)
class Stored:
    """A data set in memory."""

    name: str
    images: Tensor  # [N, C, S, S], uint8
    labels: Tensor | None = None  # [N], int64
    class_names: tuple[str, ...] = ()
    mirrored: bool = False
    fingerprint: str = ""

    @property
    def channels(self) -> int:
        return self.images.shape[1]

    @property
    def size(self) -> int:
        return self.images.shape[2]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Tensor) -> Batch:
        indices = indices.to(self.images.device, non_blocking=True)  # a GPU goes on with the step before
        labels = None if self.labels is None else self.labels[indices]
        return Batch(self.images[indices].float() / 255, labels)


def drawn(data: Dataset, n: int | None = None, seed: int = 0) -> Tensor:
    """Indices of `n` pictures of `data`, drawn evenly: each class as often as in the whole, give or take one.

    They come in a random order. Where `data` has no more than `n` pictures, it is all of them, in their own order.
    """
    count = len(data)
    if n is None or n >= count:
        return torch.arange(count)
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(count, generator=generator)
    if data.labels is not None:
        shuffled = shuffled[data.labels.cpu()[shuffled].argsort(stable=True)]
    start = torch.rand(1, generator=generator, dtype=torch.float64)
    places = ((torch.arange(n) + start) * count / n).long().clamp(max=count - 1)  # at equal distances
    return shuffled[places][torch.randperm(n, generator=generator)]


def order(length: int, batch: int, seen: int, seed: int) -> Tensor:
    """Indices [batch] of the pictures after the first `seen`: epoch after epoch, each in its own random order.

    A function of its arguments alone, so a resumed training goes on with just the pictures that come next.
    """
    positions = torch.arange(seen, seen + batch)
    epochs = positions // length
    indices = torch.empty_like(positions)
    for epoch in epochs.unique().tolist():
        inside = epochs == epoch
        indices[inside] = _shuffled(length, seed, epoch)[positions[inside] % length]
    return indices


def fingerprint(parts: Iterable[bytes | memoryview]) -> str:
    """A digest of `parts` in their order."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(memoryview(part).nbytes.to_bytes(8))  # or what moves from one to the next would not be seen
        found.update(part)
    return found.hexdigest()


@lru_cache(maxsize=2)  # a batch may span two epochs
def _shuffled(length: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
