"""Whose colours the result wears: the style's, or the content's in one of three ways (Gatys 2016, arXiv:1606.05897)."""

import numpy as np
import torch
from torch import Tensor

from impasto.gaussian import measure, monge

# Linear sRGB to CIE XYZ (IEC 61966-2-1) and the white point D65; their digits are those of scikit-image.
TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
WHITE = np.array([0.95047, 1.0, 1.08883])


def lightness(picture: Tensor) -> Tensor:
    """`picture` [1, 3, H, W] without its colours: CIE L* alone, which is defined in linear light."""
    lab = _lab(picture)
    lab[..., 1:] = 0
    return _picture(lab, picture)


def with_colours_of(picture: Tensor, colours: Tensor) -> Tensor:
    """The lightness (CIE L*) of `picture` with the hue and chroma (a*, b*) of `colours`, both [1, 3, H, W]."""
    lab = _lab(colours)
    lab[..., 0] = _lab(picture)[..., 0]
    return _picture(lab, picture)


def histogram_matched(
    picture: Tensor, reference: Tensor, weight: Tensor | None = None, reference_weight: Tensor | None = None
) -> Tensor:
    """`picture` with each channel's histogram replaced by that of `reference`, both [1, 3, *, *].

    Pixels of either count by its weight [1, 1, *, *] when given, as in `covariance_matched`.
    """
    matched = []
    for channel, wanted in zip(picture[0], reference[0], strict=True):
        _, places, shares = _distribution(channel, weight)
        levels, _, wanted_shares = _distribution(wanted, reference_weight)
        there = np.diff(wanted_shares, prepend=0) > 0  # levels of no weight are none
        matched.append(np.interp(shares, wanted_shares[there], levels[there])[places].reshape(channel.shape))
    result = torch.from_numpy(np.stack(matched, -1).astype(np.float32))
    return result.permute(2, 0, 1)[None].to(picture.device).clamp(0, 1)


def _distribution(values: Tensor, weight: Tensor | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The levels in `values`, the level that each value has, and the share of the values up to each level."""
    levels, places = np.unique(values.cpu().numpy(), return_inverse=True)
    counts = np.bincount(places.ravel(), None if weight is None else weight.double().cpu().numpy().ravel())
    shares = np.cumsum(counts)
    return levels, places, shares / shares[-1]


def covariance_matched(
    picture: Tensor, reference: Tensor, weight: Tensor | None = None, reference_weight: Tensor | None = None
) -> Tensor:
    """`picture` with the colour mean and covariance of `reference`, both [1, 3, *, *], moved no further than needed.

    The optimal-transport map changes the colours least, so no hue is rotated for nothing (Pitie and Kokaram 2007).
    """
    found, wanted = measure(picture, weight), measure(reference, reference_weight)
    return monge(found, wanted, ridge=1e-6)(picture).clamp(0, 1)


def _lab(picture: Tensor) -> np.ndarray:
    """CIE L*a*b* [H, W, 3] of `picture` [1, 3, H, W], sRGB in [0, 1] (CIE 15)."""
    rgb = picture[0].permute(1, 2, 0).cpu().numpy()
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ TO_XYZ.T.astype(np.float32) / WHITE.astype(np.float32)
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _picture(lab: np.ndarray, like: Tensor) -> Tensor:
    """The inverse of `_lab`; colours outside sRGB are clipped."""
    y = (lab[..., 0] + 16) / 116
    roots = np.stack([lab[..., 1] / 500 + y, y, (y - lab[..., 2] / 200).clip(0)], -1)
    xyz = (np.where(roots > 0.2068966, roots**3, (roots - 16 / 116) / 7.787) * WHITE).astype(np.float32)
    linear = xyz @ np.linalg.inv(TO_XYZ).T.astype(np.float32)
    with np.errstate(invalid="ignore"):  # a root of what is negative, which `where` leaves out
        rgb = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear).clip(0, 1)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].to(like.device)
