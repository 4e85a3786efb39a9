"""The losses of style transfer: pure functions of statistics, features and pixels.

Style and content losses are relative to the target's own size. So a loss of 1 (2 for `moments`, which has two parts)
means "as wrong as no features at all", whatever the network, the layer, the picture size or the style, and one set
of weights serves all.
"""

import torch
from torch import Tensor

from impasto.gaussian import Moments


def gram(found: Moments, wanted: Moments) -> Tensor:
    """|S - S*|^2 / |S*|^2, Frobenius norms of second moments (Gatys et al. 2015, eq. 4, normalised)."""
    return (found.second - wanted.second).square().sum() / wanted.second.square().sum()


def moments(found: Moments, wanted: Moments) -> Tensor:
    """Mean and covariance apart: |m - m*|^2 / |m*|^2 + |C - C*|^2 / |C*|^2 (Li et al. 2017, arXiv:1701.01036)."""
    mean = (found.mean - wanted.mean).square().sum() / wanted.mean.square().sum()
    covariance = wanted.covariance
    floor = 1e-4 * wanted.second.square().sum()  # an empty style picture has no covariance
    return mean + (found.covariance - covariance).square().sum() / covariance.square().sum().clamp_min(floor)


def wasserstein(found: Moments, wanted: Moments) -> Tensor:
    """Squared Wasserstein-2 (Bures) distance of the two Gaussians, relative to the target's power.

    W2^2 = |m - m*|^2 + tr(C + C* - 2 (C*^1/2 C C*^1/2)^1/2) (Dowson and Landau 1982), over tr S*.
    """
    # In float32 the gradient of a nearly singular covariance, as small pictures have, is wrong by some percent.
    mean, second = (t.cpu().double() for t in (found.mean, found.second))  # not every GPU has float64
    covariance = second - torch.outer(mean, mean)
    root, wanted_mean, power = wanted.covariance_root, wanted.mean.cpu().double(), wanted.second.trace()
    # Only eigenvalues are differentiated: their gradient needs no gap between them, unlike eigenvectors'.
    cross = torch.linalg.eigvalsh(root @ covariance @ root)
    floor = 1e-7 * power.item()  # below it a square root's gradient explodes
    overlap = (cross.clamp_min(0) + floor**2).sqrt().sum()
    distance = (mean - wanted_mean).square().sum() + covariance.trace() + root.square().sum() - 2 * overlap
    return distance.to(power) / power


def classic(found: Moments, wanted: Moments) -> Tensor:
    """Mean squared difference of Gram matrices, not normalised, as the tutorials of Gatys et al. (2015) have it."""
    return (found.second - wanted.second).square().mean()


STYLE_LOSSES = {"gram": gram, "moments": moments, "wasserstein": wasserstein, "classic": classic}


def content(found: Tensor, wanted: Tensor, power: Tensor | float, weight: Tensor | None = None) -> Tensor:
    """Mean squared difference of features [1, C, H, W], relative to `power`, the target's own `variance`.

    Positions count by `weight` [1, 1, H, W] when given.
    """
    return mean((found - wanted).square(), weight) / power


def mean(values: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of `values` [1, C, H, W], each position counted by `weight` [1, 1, H, W] when given."""
    return values.mean() if weight is None else (values * weight).mean() / weight.mean().clamp_min(1e-9)


def variance(features: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over channels of the variance over positions of `features` [1, C, H, W], counted by `weight` [1, 1, H, W].

    At least a tenth of their power, or nothing could be painted on a blank canvas. Photographs have twice that even
    when their contrast is cut to a tenth (benchmarked on our 12 evaluation contents).
    """
    spread = power = features.new_zeros((), dtype=torch.float32)
    for part in features.split(16, 1):  # in float32, all of twelve megapixels would take a gigabyte
        f, share = part.float(), part.shape[1] / features.shape[1]
        centre = torch.stack([mean(channel, weight) for channel in f.unbind(1)])[:, None, None]
        spread = spread + share * mean((f - centre).square(), weight)
        power = power + share * mean(f.square(), weight)
    return torch.maximum(spread, 0.1 * power).clamp_min(1e-8)


def total_variation(picture: Tensor, power: int = 2, weight: Tensor | None = None) -> Tensor:
    """Sum of |difference|^power between neighbouring pixels, per value of `picture` [1, 3, H, W] (Rudin et al. 1992).

    Power 1 keeps edges sharp, power 2 smooths evenly. Two neighbours count by the smaller `weight` [1, 1, H, W] of
    theirs, when given.
    """
    total = picture.new_zeros(())
    for axis in (3, 2):
        differences = picture.diff(dim=axis).abs().pow(power)
        if weight is not None:
            last = weight.shape[axis] - 1
            differences = differences * torch.minimum(weight.narrow(axis, 0, last), weight.narrow(axis, 1, last))
        total = total + differences.sum()
    count = picture.numel() if weight is None else picture.shape[1] * weight.sum().clamp_min(1)
    return total / count
