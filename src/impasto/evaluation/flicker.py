"""Flicker of a clip: the warping error E_warp (Lai et al. 2018, arXiv:1808.00449), and clips of known flow."""

import math
import statistics
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from impasto.perception.flow import consistent, dense, inside, is_cut, warp


def warping_error(frames: Iterable[Tensor], links: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Mean squared difference between each frame and the one before it, moved to match; 0 is no flicker at all.

    Mean over channels and the pixels that both show, then over the pairs of frames. Streams: two frames are held.

    Args:
        frames: of the clip to judge, [1, C, H, W] in [0, 1].
        links: flow [1, 2, H, W] and mask [1, 1, H, W] from each frame but the first to the one before: `estimated`
            from the clip that was stylised (never from the result, whose flicker would spoil it), or `known`.

    Returns:
        The error, or NaN if no two frames show the same.
    """
    errors = []
    for (previous, now), (flow, mask) in zip(pairwise(frames), links, strict=True):
        if mask.any():
            difference = (now - warp(previous, flow)).square().mean(1, keepdim=True)
            errors.append(((difference * mask).sum() / mask.sum()).item())
    return statistics.fmean(errors) if errors else math.nan


def estimated(frames: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Estimate the links of `warping_error` from the input clip, frames [1, 3, H, W]; a cut links nothing."""
    for previous, now in pairwise(frames):
        flow = dense(now, previous)
        mask = consistent(dense(previous, now), flow)
        yield flow, mask * (not is_cut(previous, now))


def known(flows: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Links of `warping_error` from true flows [1, 2, H, W] of a scene where nothing hides anything."""
    for flow in flows:
        yield flow, inside(flow)


def moving_photograph(
    picture: Tensor, n: int, *, pan: tuple[float, float], zoom: float, size: tuple[int, int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Move a camera over `picture` [1, 3, H, W], yielding `n` frames with the true flow from each to the one before.

    The whole path fits the picture. Frames larger than their part of it are sampled up: the picture should be larger.

    Args:
        pan: pixels of the frame that the camera moves right and down from one frame to the next.
        zoom: factor by which things grow from one frame to the next.
        size: width and height of the frames.
    """
    width, height = size
    rows, columns = torch.arange(height)[:, None] - (height - 1) / 2, torch.arange(width) - (width - 1) / 2
    shrink = 1 / zoom - 1
    flow = torch.stack(torch.broadcast_tensors(pan[0] + shrink * columns, pan[1] + shrink * rows))[None]

    corners, centre, scale = [], np.zeros(2), 1.0  # in pixels of the first frame, from its centre
    for _ in range(n):
        half = scale / 2 * np.array(size)
        corners.append((centre - half, centre + half))
        centre, scale = centre + scale * np.array(pan), scale / zoom
    path = np.stack(corners)  # [n, 2 corners, x and y]
    low, high = path.min((0, 1)), path.max((0, 1))
    full = np.array(picture.shape[:1:-1])  # width and height
    boxes = full / 2 + (path - (low + high) / 2) * (full / (high - low)).min()

    channels = [Image.fromarray(channel) for channel in picture[0].cpu().numpy()]
    for box in boxes.clip(0, full).reshape(n, 4).tolist():  # clipped for the last bit only
        # Pillow filters as the scale of the box asks, and its edges may lie between pixels.
        frame = np.stack([np.asarray(channel.resize(size, Image.Resampling.BICUBIC, box=box)) for channel in channels])
        yield torch.from_numpy(frame)[None].clamp(0, 1), flow
