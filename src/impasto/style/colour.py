"""Whose colours the result wears: the style's, or the content's in one of three ways (Gatys 2016, arXiv:1606.05897)."""

import warnings

import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab
from skimage.exposure import match_histograms
from torch import Tensor

from impasto.style.statistics import measure
from impasto.style.transport import monge


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


def histogram_matched(picture: Tensor, reference: Tensor) -> Tensor:
    """`picture` with each channel's histogram replaced by that of `reference`, both [1, 3, *, *]."""
    matched = match_histograms(picture[0].cpu().numpy(), reference[0].cpu().numpy(), channel_axis=0)
    return torch.from_numpy(matched.astype(np.float32))[None].to(picture.device).clamp(0, 1)


def covariance_matched(picture: Tensor, reference: Tensor) -> Tensor:
    """`picture` with the colour mean and covariance of `reference`, both [1, 3, *, *], moved no further than needed.

    The optimal-transport map changes the colours least, so no hue is rotated for nothing (Pitie and Kokaram 2007).
    """
    return monge(measure(picture), measure(reference), ridge=1e-6)(picture).clamp(0, 1)


def _lab(picture: Tensor) -> np.ndarray:
    return rgb2lab(picture[0].permute(1, 2, 0).cpu().numpy())


def _picture(lab: np.ndarray, like: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of colours outside sRGB, which are clipped
        rgb = lab2rgb(lab).astype(np.float32).clip(0, 1)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].to(like.device)
