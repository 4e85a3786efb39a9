"""Random changes of training pictures that leave their class: mirrored, moved or covered, each in its own way."""

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.configs import nearest

KINDS = ("none", "flip", "crop", "crop2", "flip+crop", "flip+crop2", "flip+crop+cutout", "shift")


def augment(images: Tensor, kind: str, generator: torch.Generator | None = None) -> Tensor:
    """`images` [N, C, S, S] changed at random, same shape.

    Args:
        kind: "none"; "flip": mirrored left to right, one in two; "crop": moved by up to 4 pixels over their own
            reflection; "crop2": by up to 2, for short trainings (Jordan 2024, arXiv:2404.00498); "flip+crop": both, the
            custom on CIFAR-10; "flip+crop2"; "flip+crop+cutout": and a square of 3/8 of the side is covered with the
            picture's mean colour (DeVries and Taylor 2017, arXiv:1708.04552), for long trainings; "shift": moved by up
            to 2 pixels over black, for digits.
        generator: on the CPU; None is torch's own.

    Raises:
        SettingsError: there is no such kind.
    """
    if kind not in KINDS:
        raise nearest(kind, KINDS, "augmentation")
    if kind.startswith("flip"):
        mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
        images = torch.where(mirrored.to(images.device, non_blocking=True), images.flip(3), images)
    if "crop" in kind:
        by = min(2 if "crop2" in kind else 4, images.shape[2] - 1)  # a reflection is no larger than the picture
        images = _crops(F.pad(images, (by, by, by, by), mode="reflect"), images.shape[2], generator)
    if kind.endswith("cutout"):
        images = _covered(images, generator)
    if kind == "shift":
        images = _crops(F.pad(images, (2, 2, 2, 2)), images.shape[2], generator)
    return images


def reduced(images: Tensor, least: int) -> Tensor:
    """`images` [N, C, S, S] at three quarters of their side, but of no fewer pixels than `least`."""
    side = max(least, 3 * images.shape[2] // 4)
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def _crops(padded: Tensor, size: int, generator: torch.Generator | None) -> Tensor:
    """A random square [N, C, size, size] of each picture of `padded` [N, C, P, P]."""
    n, channels, side, _ = padded.shape
    first = torch.randint(side - size + 1, (2, n, 1), generator=generator)
    rows, columns = (first + torch.arange(size)).to(padded.device, non_blocking=True)  # [N, size]
    picture = torch.arange(n, device=padded.device)[:, None, None, None]
    channel = torch.arange(channels, device=padded.device)[None, :, None, None]
    return padded[picture, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _covered(images: Tensor, generator: torch.Generator | None) -> Tensor:
    """`images` [N, C, S, S] with a square about a random pixel in the picture's mean colour; parts may lie outside."""
    n, _, size, _ = images.shape
    side = 3 * size // 8
    first = torch.randint(size, (2, n, 1), generator=generator).to(images.device, non_blocking=True) - side // 2
    places = torch.arange(size, device=images.device)
    rows, columns = (places >= first) & (places < first + side)  # [N, S] each
    hole = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(hole, images.mean((2, 3), keepdim=True), images)
