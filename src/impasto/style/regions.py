"""Masks: where each style goes, what stays untouched, and what of a picture can be seen at all."""

import torch
from torch import Tensor

from impasto.errors import SettingsError, warn
from impasto.media.picture import Picture, resize, spread

NOTHING = 1e-4  # share of a picture below which a mask, or what is visible, is as good as empty


def mask(picture: Picture, height: int, width: int) -> Tensor:
    """A mask [1, 1, height, width] in [0, 1] from any picture: white is inside, black and transparent are outside."""
    grey = picture.pixels.mean(1, keepdim=True)
    if 0 < grey.max() < 2 / 255:
        warn("a mask has no values above 1 of 255, which is black: white, 255, marks the inside")
    if picture.alpha is not None:
        grey = grey * picture.alpha
    return resize(grey.double(), height, width).float()  # in float32 white would become a little less than 1


def visible(alpha: Tensor | None) -> Tensor | None:
    """How much each pixel counts, [1, 1, H, W] in [0, 1]: its `alpha`. None where all pixels do, wholly."""
    return None if alpha is None or bool((alpha == 1).all()) else alpha


def opaque(pixels: Tensor, alpha: Tensor | None) -> Tensor:
    """`pixels` [1, 3, H, W] as the networks, which know no alpha, shall see them.

    What is transparent has the colours around it, so that what can be seen is alone in deciding. From an alpha of 1/4
    down a pixel's own colour fades into them.
    """
    return pixels if alpha is None else spread(pixels, (4 * alpha).clamp(max=1).square())


def shared_out(masks: list[Tensor], protect: Tensor | None, visible: Tensor | None = None) -> list[Tensor]:
    """`masks` [1, 1, H, W] scaled down so that they never sum to more than 1, and to nothing where `protect` is 1.

    Args:
        visible: [1, 1, H, W], as of the function of that name: a mask must not lie beside it.

    Raises:
        SettingsError: a mask leaves its style nowhere to go.
    """
    crowd = torch.stack(masks).sum(0).clamp_min(1)
    free = 1 if protect is None else 1 - protect
    shared = [m / crowd * free for m in masks]
    for number, m in enumerate(shared, 1):
        if (m if visible is None else m * visible).mean() < NOTHING:
            where = "" if visible is None else " where the content can be seen"
            raise SettingsError(
                f"mask {number} is (nearly) empty{where}: its style would go nowhere; white marks the inside"
            )
    return shared
