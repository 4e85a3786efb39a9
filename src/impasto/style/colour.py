"""Whose colours the result wears: the style's, or the content's in one of three ways (Gatys 2016, arXiv:1606.05897)."""

import warnings

import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab
from skimage.exposure import match_histograms
from torch import Tensor


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

    Any A with A C A^T = C* would do; the optimal-transport map C^-1/2 (C^1/2 C* C^1/2)^1/2 C^-1/2 changes the
    colours least, so no hue is rotated for nothing (Pitie and Kokaram 2007).
    """
    x, y = picture[0].flatten(1).double(), reference[0].flatten(1).double()
    ridge = 1e-6 * torch.eye(3, dtype=x.dtype, device=x.device)
    root, inverse_root = _roots(x.cov() + ridge)
    middle, _ = _roots(root @ (y.cov() + ridge) @ root)
    matrix = inverse_root @ middle @ inverse_root
    moved = matrix @ (x - x.mean(1, keepdim=True)) + y.mean(1, keepdim=True)
    return moved.float().view_as(picture).clamp(0, 1)


def _roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Square root of a symmetric positive matrix, and its inverse."""
    values, vectors = torch.linalg.eigh(matrix)
    root = values.clamp_min(1e-12).sqrt()
    return vectors * root @ vectors.T, vectors / root @ vectors.T


def _lab(picture: Tensor) -> np.ndarray:
    return rgb2lab(picture[0].permute(1, 2, 0).cpu().numpy())


def _picture(lab: np.ndarray, like: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of colours outside sRGB, which are clipped
        rgb = lab2rgb(lab).astype(np.float32).clip(0, 1)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].to(like.device)
