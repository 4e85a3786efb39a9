"""Whose colours the result wears: the style's, or the content's in one of three ways (Gatys 2016, arXiv:1606.05897)."""

import warnings

import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor

from impasto.gaussian import measure, monge
from impasto.media import srgb

CONES = torch.tensor(  # linear sRGB to cone responses (Ottosson 2020)
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OPPONENTS = torch.tensor(  # their cube roots to lightness, a and b
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
HALVINGS = 12  # of the chroma that is sought for a colour outside sRGB
SLACK = 1e-4  # of linear light, that counts as inside


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


def oklab(pixels: Tensor) -> Tensor:
    """`pixels` [N, 3, H, W] in sRGB as lightness, a and b of Oklab (Ottosson 2020)."""
    return _mixed(OPPONENTS, _mixed(CONES, srgb.to_light(pixels)).clamp_min(0) ** (1 / 3))


def from_oklab(lab: Tensor) -> Tensor:
    """The inverse of `oklab`. A colour outside sRGB keeps lightness and hue, and loses chroma until it is inside."""
    grey = lab * lab.new_tensor([1, 0, 0])[:, None, None]
    share, step = torch.ones_like(lab[:, :1]), 1.0
    for _ in range(HALVINGS):
        step /= 2
        light = _light(torch.lerp(grey, lab, share))
        inside = ((light >= -SLACK) & (light <= 1 + SLACK)).all(1, keepdim=True)
        share = (share + torch.where(inside, step, -step)).clamp(max=1)
    return srgb.from_light(_light(torch.lerp(grey, lab, share)).clamp(0, 1))


def _light(lab: Tensor) -> Tensor:
    """Linear sRGB of Oklab, also outside of [0, 1]."""
    return _mixed(torch.linalg.inv(CONES), _mixed(torch.linalg.inv(OPPONENTS), lab) ** 3)


def _mixed(matrix: Tensor, channels: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix.to(channels), channels)
