"""The one entry to style transfer of pictures: picks the quality, joins the parts, gives a Picture back.

    import impasto
    impasto.stylize("photo.jpg", "painting.jpg", size=768).save("out.png")
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto import device, picture, provenance, weights
from impasto.errors import SettingsError
from impasto.perception import registry
from impasto.picture import Picture
from impasto.style import colour, losses, optimise, regions
from impasto.style.objective import Eye, Goal, Region
from impasto.style.optimise import Progress
from impasto.style.statistics import merge

PictureLike = str | PathLike[str] | Picture


@dataclass(frozen=True)
class Settings:
    """What a user can set. None means "as the quality has it" (see QUALITIES)."""

    quality: str = "fine"
    size: int | None = None  # long side of the result, pixels; None: the content's own, at most 1024
    strength: float = 1.0  # of the style against the content
    style_scale: float = 1.0  # brush size: the style picture's long side over the result's
    style_weights: tuple[float, ...] | None = None  # one per style, any scale; None: equal
    colour: str = "style"  # one of colour.COLOURS
    start: str | None = None  # "content", "noise" or "style" (the style's colour statistics on the content)
    seed: int = 0
    network: str | None = None  # "compact" or "vgg19"
    style_layers: tuple[str, ...] | None = None
    content_layers: tuple[str, ...] | None = None
    style_loss: str | None = None  # one of losses.STYLE_LOSSES
    content_weight: float | None = None
    variation_weight: float | None = None
    optimiser: str | None = None  # "adam" or "lbfgs"
    steps: int | None = None  # at the first scale; later scales take their usual share of it
    pooling: str = "max"  # of VGG-19, or "average"
    precision: str = "auto"  # "auto": bfloat16 where the processor has it; "float32"
    memory: float | None = None  # GB to use at most; None: what is free, with a margin
    device: str = "auto"
