"""Gaussians fitted to features: their moments, which add up; the map between two that moves least; their distance.

Gatys, Ecker and Bethge (2015, arXiv:1508.06576) showed that the second moments of a network's features carry
the style of a picture; Heusel et al. (2017, arXiv:1706.08500) judge samples by the distance of two such Gaussians.
Because moments are averages, those of two pictures (or two tiles of one picture, or two regions, or two frames)
merge by a weighted sum; everything that joins, cuts or masks styles is built on that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """First two moments of features f [C, N]: `mean` = sum f / N [C], `second` = sum f f^T / N [C, C], `weight` = N."""

    mean: Tensor
    second: Tensor
    weight: Tensor  # scalar: how many feature positions (or how much mask) the moments speak for

    def __add__(self, other: "Moments") -> "Moments":
        return merge([self, other])

    @property
    def covariance(self) -> Tensor:
        """[C, C]: second moment minus the outer product of the mean."""
        return self.second - torch.outer(self.mean, self.mean)

    @cached_property
    def covariance_root(self) -> Tensor:
        """[C, C] float64 on the CPU: the symmetric square root of the covariance, computed once."""
        values, vectors = torch.linalg.eigh(_exact(self)[1])
        return vectors * values.clamp_min(0).sqrt() @ vectors.T


PARTS = ("mean", "second", "weight")


def as_tensors(named: Mapping[str, Moments]) -> dict[str, Tensor]:
    """Moments as files keep them: tensors "NAME/mean", "NAME/second" and "NAME/weight"."""
    return {f"{name}/{part}": getattr(moments, part) for name, moments in named.items() for part in PARTS}


def measure(features: Tensor, mask: Tensor | None = None) -> Moments:
    """Statistics of `features` [1, C, H, W] in float32, weighted by `mask` [1, 1, h, w] >= 0 of any size.

    A mask is averaged down to the features' grid, so a feature on the border of a region counts in part.
    """
    f = rows(features.float())
    if mask is None:
        weight = torch.tensor(float(len(f)), device=f.device)
        return Moments(f.mean(0), f.T @ f / weight, weight)
    w = rows(F.adaptive_avg_pool2d(mask.float(), (features.shape[2], features.shape[3])))
    weight = w.sum()
    weighted = f * (w / weight.clamp_min(1e-6))
    return Moments(weighted.sum(0), weighted.T @ f, weight)


def rows(features: Tensor) -> Tensor:
    """`features` [1, C, H, W] as [H * W, C]: no copy where they are channels-last, as convolutions like it."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])


def merge(parts: Sequence[Moments], shares: Sequence[float] | None = None) -> Moments:
    """One statistic for all `parts`, each counted by its own weight, or by `shares` when given (a blend of styles)."""
    weights = torch.stack([p.weight for p in parts]) if shares is None else parts[0].mean.new_tensor(shares)
    total = weights.sum()
    share = weights / total.clamp_min(1e-6)
    mean = sum((s * p.mean for s, p in zip(share, parts, strict=True)), torch.zeros_like(parts[0].mean))
    second = sum((s * p.second for s, p in zip(share, parts, strict=True)), torch.zeros_like(parts[0].second))
    return Moments(mean, second, total)


class Affine(NamedTuple):
    """x -> matrix x + offset, in float32."""

    matrix: Tensor  # [C, C]
    offset: Tensor  # [C]

    def __call__(self, features: Tensor) -> Tensor:
        """The map at each position of `features` [N, C, H, W]."""
        return F.conv2d(features, self.matrix[:, :, None, None], self.offset)

    def weakened(self, share: float) -> "Affine":
        """A `share` of the way, from 0 (nothing moves) to 1."""
        still = torch.eye(len(self.matrix), device=self.matrix.device)
        return Affine(torch.lerp(still, self.matrix, share), share * self.offset)


RIDGE = 1e-3


def monge(found: Moments, wanted: Moments, ridge: float = RIDGE) -> Affine:
    """The map between two Gaussians that moves features least (Monge's problem).

    From features with the moments `found` to such with the moments `wanted`, in the closed form of Dowson and Landau
    (1982). On colours it is that of Pitie and Kokaram (2007).

    A = C^-1/2 (C^1/2 C* C^1/2)^1/2 C^-1/2. A covariance that few positions (the weight of `found`) speak for is drawn
    towards its diagonal, C / (C + N) of the way, and what has hardly any variance is not blown up to have much:
    `ridge` is a variance, relative to the mean one of `wanted`, that both are taken to have more.

    Args:
        found: moments of C features.
        wanted: the same of those that they shall have.

    Returns:
        An `Affine` of [C, C] and [C], float32, on the device of `found`.

    Examples:
        >>> import torch
        >>> from impasto.gaussian import measure, monge
        >>> photo, painting = impasto.read("photo.jpg").pixels, impasto.read("painting.jpg").pixels
        >>> moved = monge(measure(photo), measure(painting))(photo)
        >>> torch.allclose(measure(moved).mean, measure(painting).mean, atol=1e-4)
        True
    """
    (mean, covariance), (wanted_mean, wanted_covariance) = (_exact(s) for s in (found, wanted))
    count = len(mean)
    drawn = count / (count + found.weight.item())
    floor = ridge * wanted_covariance.diagonal().mean().clamp_min(1e-12)
    extra = floor * torch.eye(count, dtype=mean.dtype)
    covariance, wanted_covariance = (
        torch.lerp(c, torch.diag(c.diagonal()), drawn) + extra for c in (covariance, wanted_covariance)
    )
    root, inverse = _roots(covariance)
    matrix = inverse @ _roots(root @ wanted_covariance @ root)[0] @ inverse
    return Affine(matrix.to(found.mean), (wanted_mean - matrix @ mean).to(found.mean))


def _exact(statistics: Moments) -> tuple[Tensor, Tensor]:
    """Mean and covariance in float64, on the CPU: not every GPU has it."""
    mean, second = statistics.mean.cpu().double(), statistics.second.cpu().double()
    return mean, second - torch.outer(mean, mean)


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Square root of a symmetric positive matrix, and its inverse."""
    values, vectors = torch.linalg.eigh(matrix)
    root = values.clamp_min(1e-12).sqrt()
    return vectors * root @ vectors.T, vectors / root @ vectors.T


def wasserstein2(a: Moments, b: Moments) -> float:
    """The squared 2-Wasserstein distance of two Gaussians: |m - m'|^2 + tr(C + C' - 2 (C^1/2 C' C^1/2)^1/2).

    The closed form of Dowson and Landau (1982); of a network's features it is called their Fréchet distance. float64.
    """
    (mean, covariance), (other_mean, other_covariance) = _exact(a), _exact(b)
    root = a.covariance_root
    cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp_min(0).sqrt().sum()
    distance = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * cross
    return max(0.0, distance.item())
