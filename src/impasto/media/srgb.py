"""The curve of sRGB (IEC 61966-2-1): between what files hold and light, both with white at 1."""

import torch
from torch import Tensor


def to_light(pixels: Tensor) -> Tensor:
    """Linear light of sRGB values."""
    return torch.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)


def from_light(light: Tensor) -> Tensor:
    """The inverse of `to_light`."""
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
