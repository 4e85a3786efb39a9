"""Pictures as a few whole levels of brightness, the form in which likelihoods are exact."""

import torch
from torch import Tensor


def quantise(images: Tensor, levels: int, generator: torch.Generator | None = None) -> Tensor:
    """Levels 0 .. levels - 1 (int64) of `images` in [0, 1], same shape.

    Two levels are drawn at random, each pixel white with its brightness as the probability: the binarisation of
    Salakhutdinov and Murray (2008). Drawn anew at each call it is called *dynamic*, drawn once *fixed*. More levels
    are cut at equal widths, so 256 levels are the file's own bytes.
    """
    if levels == 2:
        where = images.device if generator is None else generator.device  # a GPU cannot draw with a CPU's generator
        return torch.bernoulli(images.to(where), generator=generator).to(images.device).long()
    return (images * 255).round().long() * levels // 256


def brightness(indices: Tensor, levels: int) -> Tensor:
    """Pictures in [0, 1] from levels: 0 is black, the highest is white."""
    return indices.float() / (levels - 1)
