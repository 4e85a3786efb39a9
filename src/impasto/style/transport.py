"""Optimal transport between Gaussians: the affine map that gives features another mean and covariance.

Of all maps that do so it moves the features least (Monge's problem; Dowson and Landau 1982 for its closed form), so
nothing is rotated for nothing. On colours it is that of Pitie and Kokaram (2007).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from impasto.style.statistics import StyleStatistics


class Affine(NamedTuple):
    """x -> matrix x + offset, in float32."""

    matrix: Tensor  # [C, C]
    offset: Tensor  # [C]

    def __call__(self, features: Tensor) -> Tensor:
        """The map at each position of `features` [N, C, H, W]."""
        return torch.nn.functional.conv2d(features, self.matrix[:, :, None, None], self.offset)

    def weakened(self, share: float) -> "Affine":
        """A `share` of the way, from 0 (nothing moves) to 1."""
        still = torch.eye(len(self.matrix), device=self.matrix.device)
        return Affine(torch.lerp(still, self.matrix, share), share * self.offset)


def monge(found: StyleStatistics, wanted: StyleStatistics, ridge: float = 1e-3) -> Affine:
    """The map from features with the moments `found` to such with the moments `wanted`.

    A = C^-1/2 (C^1/2 C* C^1/2)^1/2 C^-1/2. A covariance that few positions (the weight of `found`) speak for is drawn
    towards its diagonal, C / (C + N) of the way, and what has hardly any variance is not blown up to have much:
    `ridge` is a variance, relative to the mean one of `wanted`, that both are taken to have more.
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


def _exact(statistics: StyleStatistics) -> tuple[Tensor, Tensor]:
    """Mean and covariance in float64, on the CPU: not every GPU has it."""
    mean, second = statistics.mean.cpu().double(), statistics.second.cpu().double()
    return mean, second - torch.outer(mean, mean)


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Square root of a symmetric positive matrix, and its inverse."""
    values, vectors = torch.linalg.eigh(matrix)
    root = values.clamp_min(1e-12).sqrt()
    return vectors * root @ vectors.T, vectors / root @ vectors.T
