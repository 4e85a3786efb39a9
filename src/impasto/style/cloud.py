"""A style as a cloud of points: the features of each place of a painting, and which of them a place of a picture gets.

Every place of the result shall look like *some* place of the painting. Matching patches of features is Li and Wand's
(2016, arXiv:1601.04589, "CNNMRF") and Chen and Schmidt's (2016, arXiv:1612.04337, "Style-Swap"); the hypercolumns, the
cosine between what is centred, and targets that are chosen with the content's help are Kolkin et al.'s (2022,
arXiv:2203.13215, "Neural Neighbor Style Transfer"). Points add up like moments do: the cloud of several styles is their
union, that of a mask is the places within it.

A place is a square of GRID pixels. What it has of a layer is a patch: 4x4 features of block 1, 2x2 of block 2, one of
block 3.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.device import autocast_dtype
from impasto.style.tiles import stride

GRID = 4  # pixels from one place to the next
LARGEST = 16_384  # points of a cloud; of more places, so many are drawn evenly
ROWS = 4096  # places that are matched at a time
SEEN = 0.5  # share of a place that must belong to the style, for it to be a point


@dataclass(frozen=True)
class Points:
    """Places of a painting: `patches` [N, P] as `patches_of` gives them, of layers with so many `channels`."""

    patches: Tensor
    channels: dict[str, int]

    @property
    def sizes(self) -> list[int]:
        """Numbers in a patch of each layer."""
        return [channels * _step(name) ** 2 for name, channels in self.channels.items()]

    @property
    def width(self) -> int:
        """P, of all layers."""
        return sum(self.sizes)

    def drawn(self, largest: int) -> "Points":
        """At most so many of them, drawn evenly, always the same."""
        if len(self.patches) <= largest:
            return self
        chosen = torch.randperm(len(self.patches), generator=torch.Generator().manual_seed(0))[:largest]
        return Points(self.patches[chosen.to(self.patches.device)], self.channels)


def points_of(features: dict[str, Tensor], visible: Tensor | None = None) -> Points:
    """The places of a painting with `features` [1, C, h, w] by layer.

    Args:
        visible: [1, 1, H, W], how much each pixel belongs to the style; all do by default.
    """
    patches = patches_of(features)
    if visible is not None:
        share = F.adaptive_avg_pool2d(visible, _grid(features)).flatten()
        patches = patches[(share > 0) & (share >= share.max().clamp(max=SEEN))]  # of thin lines, the fullest places
    return Points(patches, {name: f.shape[1] for name, f in features.items()})


def union(parts: Sequence[Points], shares: Sequence[float] | None = None) -> Points:
    """Points of all `parts`; with `shares`, as many of each as its share says (a blend of styles)."""
    if shares is not None:
        most = max(shares)
        parts = [p.drawn(max(1, round(len(p.patches) * s / most))) for p, s in zip(parts, shares, strict=True) if s]
    return Points(torch.cat([part.patches for part in parts]), parts[0].channels)


def patches_of(features: dict[str, Tensor]) -> Tensor:
    """All that each place has of `features` [1, C, h, w], [places, P]: each layer's channels, of each its patch."""
    height, width = _grid(features)
    parts = []
    for name, f in features.items():
        step = _step(name)
        parts.append(F.pixel_unshuffle(f[..., : height * step, : width * step], step))
    return torch.cat(parts, 1).permute(0, 2, 3, 1).flatten(0, 2)


@dataclass(frozen=True)
class Cloud:
    """Points to be matched. Layers are scaled to count alike, and all is centred by the style's own mean."""

    points: Points

    @cached_property
    def scale(self) -> Tensor:
        """[P]: of each layer, 1 / the root of the mean square of a whole patch."""
        scales = []
        for part in self.points.patches.split(self.points.sizes, 1):
            power = part.float().square().sum(1).mean().clamp_min(1e-12)
            scales.append(power.rsqrt().expand(part.shape[1]))
        return torch.cat(scales)

    @cached_property
    def mean(self) -> Tensor:
        """[P]: of the scaled patches."""
        return (self.points.patches.float() * self.scale).mean(0)

    @cached_property
    def targets(self) -> Tensor:
        """[N, P]: the scaled patches, less their mean."""
        return self.points.patches.float() * self.scale - self.mean

    @cached_property
    def _keys(self) -> Tensor:
        """[N, D] of length 1: what queries are compared with; in bfloat16 where the processor computes in it."""
        columns = self.columns(self.points.patches.float())
        dtype = autocast_dtype(columns.device) or torch.float32
        return F.normalize(columns - columns.mean(0), dim=1).to(dtype)

    def columns(self, patches: Tensor) -> Tensor:
        """Hypercolumns [n, D] of `patches` [n, P]: each layer's patch averaged, and scaled to a mean square of 1."""
        parts = []
        scaled = (patches * self.scale).split(self.points.sizes, 1)
        for part, (name, channels) in zip(scaled, self.points.channels.items(), strict=True):
            step = _step(name)  # `scale` is for a whole patch of step x step features; an average of them is one
            parts.append(step * part.view(len(part), channels, step**2).mean(2))
        return torch.cat(parts, 1)

    def nearest(self, queries: Tensor) -> Tensor:
        """The index [n] of the point with the largest cosine to each of `queries` [n, D]."""
        keys = self._keys.T
        return torch.cat([(part.to(keys) @ keys).argmax(1) for part in queries.split(ROWS)])

    def distances(self, patches: Tensor, nearest: Tensor) -> Tensor:
        """1 - cosine [n] of `patches` [n, P] and the points of these indices [n], both scaled and centred."""
        return 1 - F.cosine_similarity(patches * self.scale - self.mean, self.targets[nearest], dim=1)


def queries(own: Tensor, content: Tensor, freedom: float) -> Tensor:
    """What is looked for at each place [n, D]: a mix of the picture's own hypercolumns and the content's [n, D].

    Both are centred by the caller. The content says *which* point of the style a place gets.

    Args:
        freedom: share of the picture's own, from 0 (true to the photograph) to 1.
    """
    return torch.lerp(F.normalize(content, dim=1), F.normalize(own, dim=1), freedom)


def mean_of(parts: Iterable[Tensor]) -> Tensor:
    """Mean [D] over the rows of all `parts` [n, D]."""
    total, count = torch.zeros(()), 0
    for part in parts:
        total, count = total.to(part.device) + part.sum(0), count + len(part)
    return total / count


def _step(layer: str) -> int:
    """Features of a layer along a side of a place."""
    return GRID // stride(layer)


def _grid(features: dict[str, Tensor]) -> tuple[int, int]:
    """Height and width of the grid of places."""
    name = next(name for name in features if stride(name) == GRID)
    return features[name].shape[2], features[name].shape[3]
