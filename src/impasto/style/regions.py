"""Masks: where each style goes, and what stays untouched."""

import torch
from torch import Tensor

from impasto.errors import SettingsError, warn
from impasto.picture import Picture, resize


def mask(picture: Picture, height: int, width: int) -> Tensor:
    """A mask [1, 1, height, width] in [0, 1] from any picture: white is inside, black and transparent are outside."""
    grey = picture.pixels.mean(1, keepdim=True)
    if 0 < grey.max() < 2 / 255:
        warn("a mask has no values above 1 of 255, which is black: white, 255, marks the inside")
    if picture.alpha is not None:
        grey = grey * picture.alpha
    return resize(grey.double(), height, width).float()  # in float32 white would become a little less than 1


def shared_out(masks: list[Tensor], protect: Tensor | None) -> list[Tensor]:
    """`masks` [1, 1, H, W] scaled down so that they never sum to more than 1, and to nothing where `protect` is 1.

    Raises:
        SettingsError: a mask leaves its style nowhere to go.
    """
    crowd = torch.stack(masks).sum(0).clamp_min(1)
    free = 1 if protect is None else 1 - protect
    shared = [m / crowd * free for m in masks]
    for number, m in enumerate(shared, 1):
        if m.mean() < 1e-4:
            raise SettingsError(f"mask {number} is (nearly) empty: its style would go nowhere; white marks the inside")
    return shared
