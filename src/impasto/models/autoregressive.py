"""Drawing a picture pixel by pixel, with its exact likelihood: what PixelCNN and PixelRNN have in common.

Pixels follow each other in raster order, and in a pixel channel by channel. The network gives each the probabilities of
its levels of brightness, knowing only those before it, and the product of all of them is the picture's likelihood.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from impasto.configs import Within
from impasto.data.dataset import Batch
from impasto.data.levels import brightness, quantise
from impasto.errors import SettingsError
from impasto.training.contract import KnownPixels, Model, Update, checked_images, checked_sampling, finite


class Autoregressive(Model, ABC):
    """A family whose network gives logits [N, C, levels, S, S] of pictures [N, C, S, S] in [0, 1] and labels [N].

    Its settings have `levels`, of brightness.
    """

    likelihood: ClassVar[str] = "exact"

    @abstractmethod
    def cached(self, n: int, labels: Tensor | None) -> Callable[[Tensor, int, int], Tensor]:
        """What computes each feature of `n` pictures once: from pictures, row and column to logits [n, C, levels].

        It is asked for all pixels in raster order, for each channel. The logits are right for the channels up to the
        first still to be drawn.
        """

    def nats(self, pictures: Tensor, labels: Tensor | None) -> Tensor:
        """Negative log-likelihood [N] of `pictures`, which have the model's levels."""
        if not self.config.classes:
            labels = None
        elif labels is None:
            raise SettingsError("this model is conditional on the class; give the labels")
        logits = self(pictures, labels).transpose(1, 2)  # [N, levels, C, S, S]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        indices = (pictures * (self.config.levels - 1)).round().long()
        return F.cross_entropy(logits, indices, reduction="none").sum((1, 2, 3))

    def updates(self, batch: Batch) -> Iterator[Update]:
        levels = self.config.levels
        nats = self.nats(brightness(quantise(batch.images, levels), levels), batch.labels).mean()
        bits = nats.detach() / batch.images[0].numel() / torch.tensor(2.0).log()
        yield Update("model", nats, {"nats": nats.detach(), "bits/dim": bits})

    @checked_images
    def log_likelihood(
        self, images: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Exact log-likelihood in nats [N] of `images` [N, C, S, S] that have the model's levels.

        Raises:
            SettingsError: no labels for a conditional model, or as `checked_images`.
        """
        return -self.nats(images, labels)

    @checked_sampling
    def sampling(
        self,
        n: int,
        *,
        labels: Tensor | None = None,
        given: KnownPixels | None = None,
        generator: torch.Generator | None = None,
        temperature: Annotated[float, Within(1e-4, 1e4)] = 1.0,
        cached: bool = True,
    ) -> Iterator[Tensor]:
        """Draw pictures in raster order, yielding them after each row; pixels still to come are black.

        Args:
            given: these pixels are copied, and all others drawn, each knowing only the pixels before it.
            temperature: below 1 the likelier levels are drawn more often than the model says, above 1 less often.
            cached: compute each feature once. False computes the whole network for each pixel, for the same pictures:
                float64 keeps the two so close that no draw falls between them, nor between two sizes of batch.

        Raises:
            SettingsError: a label out of range, labels for a model without classes, given pixels of another size,
                or a temperature out of range.
        """
        channels, size, levels = self.config.channels, self.config.size, self.config.levels
        given = self.check_known(given, n)
        classes = self.classes_for(n, labels, generator)
        numbers = torch.rand(n, channels, size, size, generator=generator).to(self.device)
        dtype = torch.float32 if self.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
        pictures = torch.zeros(n, channels, size, size, dtype=dtype, device=self.device)
        known, images = torch.zeros(1, 1, size, size, dtype=torch.bool, device=self.device), pictures.float()
        if given is not None:
            known, images = given.known, given.images
            pictures = torch.where(known, brightness(quantise(images, levels, generator), levels).to(dtype), pictures)

        network = copy.deepcopy(self).to(dtype)
        pixel = network.cached(n, classes) if cached else lambda p, i, j: network(p, classes)[..., i, j]
        for i in range(size):
            for j in range(size):
                for channel in range(channels):
                    logits = finite(pixel(pictures, i, j)[:, channel])
                    below = torch.softmax(logits / temperature, 1).cumsum(1)
                    drawn = (below <= numbers[:, channel, i, j, None]).sum(1).clamp(max=levels - 1)
                    pictures[:, channel, i, j] = torch.where(
                        known[:, 0, i, j], pictures[:, channel, i, j], brightness(drawn, levels).to(dtype)
                    )
            yield torch.where(known, images, pictures.float())


def ranks(features: int, channels: int) -> Tensor:
    """How many channels of its own pixel each of `features` knows: as many know 0, 1, ... channels - 1."""
    return torch.arange(features) * channels // features
