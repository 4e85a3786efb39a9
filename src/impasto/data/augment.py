"""Random changes of training pictures that leave their class: mirrored or moved, each picture in its own way."""

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.configs import nearest

KINDS = ("none", "flip", "crop", "flip+crop", "shift")


def augment(images: Tensor, kind: str, generator: torch.Generator | None = None) -> Tensor:
    """`images` [N, C, S, S] changed at random, same shape.

    Args:
        kind: "none"; "flip": mirrored left to right, one in two; "crop": moved by up to 4 pixels over their own
            reflection; "flip+crop": both, the custom on CIFAR-10; "shift": moved by up to 2 pixels over black, for
            digits.
        generator: on the CPU; None is torch's own.

    Raises:
        SettingsError: there is no such kind.
    """
    if kind not in KINDS:
        raise nearest(kind, KINDS, "augmentation")
    if kind.startswith("flip"):
        mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
        images = torch.where(mirrored.to(images.device), images.flip(3), images)
    if kind.endswith("crop"):
        by = min(4, images.shape[2] - 1)  # a reflection is no larger than the picture
        return _crops(F.pad(images, (by, by, by, by), mode="reflect"), images.shape[2], generator)
    if kind == "shift":
        return _crops(F.pad(images, (2, 2, 2, 2)), images.shape[2], generator)
    return images


def _crops(padded: Tensor, size: int, generator: torch.Generator | None) -> Tensor:
    """A random square [N, C, size, size] of each picture of `padded` [N, C, P, P]."""
    n, channels, side, _ = padded.shape
    first = torch.randint(side - size + 1, (2, n, 1), generator=generator)
    rows, columns = (first + torch.arange(size)).to(padded.device)  # [N, size] each
    picture = torch.arange(n, device=padded.device)[:, None, None, None]
    channel = torch.arange(channels, device=padded.device)[None, :, None, None]
    return padded[picture, channel, rows[:, None, :, None], columns[:, None, None, :]]
