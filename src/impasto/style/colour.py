"""Whose colours the result wears: the style's, or the content's in one of three ways (Gatys 2016, arXiv:1606.05897)."""

import warnings

import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor

from impasto.gaussian import measure, monge


def lightness(picture: Tensor) -> Tensor:
    """`picture` [1, 3, H, W] without its colours: CIE L* alone, which scikit-image computes in linear light."""
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
    return rgb2lab(picture[0].permute(1, 2, 0).cpu().numpy())


def _picture(lab: np.ndarray, like: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of colours outside sRGB, which are clipped
        rgb = lab2rgb(lab).astype(np.float32).clip(0, 1)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].to(like.device)
