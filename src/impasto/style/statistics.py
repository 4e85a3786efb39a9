"""Style as a statistic that adds up: mean, second moment and weight of a layer's features.

Gatys, Ecker and Bethge (2015, arXiv:1508.06576) showed that the second moments of a network's features carry
the style of a picture. Because moments are averages, those of two pictures (or two tiles of one picture, or two
regions, or two frames) merge by a weighted sum; everything that joins, cuts or masks styles is built on that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class StyleStatistics:
    """First two moments of features f [C, N]: `mean` = sum f / N [C], `second` = sum f f^T / N [C, C], `weight` = N."""

    mean: Tensor
    second: Tensor
    weight: Tensor  # scalar: how many feature positions (or how much mask) the moments speak for

    def __add__(self, other: "StyleStatistics") -> "StyleStatistics":
        return merge([self, other])

    @property
    def covariance(self) -> Tensor:
        """[C, C]: second moment minus the outer product of the mean."""
        return self.second - torch.outer(self.mean, self.mean)

    @cached_property
    def covariance_root(self) -> Tensor:
        """[C, C] float64 on the CPU: the symmetric square root of the covariance, computed once."""
        mean, second = self.mean.cpu().double(), self.second.cpu().double()
        values, vectors = torch.linalg.eigh(second - torch.outer(mean, mean))
        return vectors * values.clamp_min(0).sqrt() @ vectors.T


def measure(features: Tensor, mask: Tensor | None = None) -> StyleStatistics:
    """Statistics of `features` [1, C, H, W] in float32, weighted by `mask` [1, 1, h, w] >= 0 of any size.

    A mask is averaged down to the features' grid, so a feature on the border of a region counts in part.
    """
    f = rows(features.float())
    if mask is None:
        weight = torch.tensor(float(len(f)), device=f.device)
        return StyleStatistics(f.mean(0), f.T @ f / weight, weight)
    w = rows(F.adaptive_avg_pool2d(mask.float(), (features.shape[2], features.shape[3])))
    weight = w.sum()
    weighted = f * (w / weight.clamp_min(1e-6))
    return StyleStatistics(weighted.sum(0), weighted.T @ f, weight)


def rows(features: Tensor) -> Tensor:
    """`features` [1, C, H, W] as [H * W, C]: no copy where they are channels-last, as convolutions like it."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def merge(parts: Sequence[StyleStatistics], shares: Sequence[float] | None = None) -> StyleStatistics:
    """One statistic for all `parts`, each counted by its own weight, or by `shares` when given (a blend of styles)."""
    weights = torch.stack([p.weight for p in parts]) if shares is None else parts[0].mean.new_tensor(shares)
    total = weights.sum()
    share = weights / total.clamp_min(1e-6)
    mean = sum((s * p.mean for s, p in zip(share, parts, strict=True)), torch.zeros_like(parts[0].mean))
    second = sum((s * p.second for s, p in zip(share, parts, strict=True)), torch.zeros_like(parts[0].second))
    return StyleStatistics(mean, second, total)
