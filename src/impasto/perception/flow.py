"""Dense optical flow between two frames, warping along it, where it can be trusted, and cuts.

Flow is by Dense Inverse Search (Kroeger et al. 2016, arXiv:1603.03590), in OpenCV. A flow [1, 2, H, W] from frame a
to frame b holds, in pixels, how far right and how far down the thing seen at each pixel of a lies in b. So
`warp(previous, dense(now, previous))` is the previous frame, moved to where its things are now.
"""

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.device import configure_cpu

LONG_SIDE = 640  # pixels; larger frames are reduced for the search. As exact for their size, in the same time
SHORT_SIDE = 32  # pixels; smaller frames are enlarged: the coarsest level of the search needs a few patches
THUMBNAIL = 128  # pixels, long side of the frames that cuts are told from
CUT = 0.4  # see is_cut


def dense(first: Tensor, second: Tensor) -> Tensor:
    """Flow [1, 2, H, W] in pixels from `first` to `second`, frames [1, 1 or 3, H, W] in [0, 1].

    The preset "fast" is given a finer last level, and fewer rounds for speed. Where photographs of 640 × 360 pan by 3
    pixels it errs by 0.12 pixels on average, "fast" as it is by 0.26, "medium" by 0.11 in more than twice the time.
    """
    height, width = first.shape[2:]
    scale = min(1, LONG_SIDE / max(height, width))
    size = (max(round(width * scale), SHORT_SIDE), max(round(height * scale), SHORT_SIDE))
    cv2.setNumThreads(configure_cpu())  # OpenCV has threads of its own, by default one per processor
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # a new one: it keeps what small frames set
    search.setFinestScale(1)
    search.setPatchStride(5)
    search.setGradientDescentIterations(8)
    search.setVariationalRefinementIterations(3)
    greys = [frame[0].mean(0).clamp(0, 1).mul(255).round().byte().cpu().numpy() for frame in (first, second)]
    here, there = (cv2.resize(grey, size, interpolation=cv2.INTER_AREA) for grey in greys)
    found = search.calc(here, there, None)  # type: ignore[call-overload]  # None: no first guess
    right, down = cv2.split(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR))
    flow = [torch.from_numpy(right) * (width / size[0]), torch.from_numpy(down) * (height / size[1])]
    return torch.stack(flow)[None].to(first.device)


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Sample `picture` [N, C, H, W] at each pixel plus `flow` [N, 2, H, W]; beyond the border it goes on as there.

    The kernel is Catmull and Rom's (cubic, a = -1/2). A clip's frames are warped again and again, and of 30 steps by
    half a pixel it keeps a third of the energy of a photograph's edges, bilinear sampling a tenth, while torch's
    "bicubic" (a = -3/4), which amplifies some frequencies, leaves five times as much: it rings ever louder. It may
    overshoot [0, 1] a little at hard edges. An integer flow shifts the picture to 5e-5, the rounding of the positions.
    """
    # Per axis the cubic between two pixels is the straight line less t(1 - t)/2 times the line between their second
    # differences. So one bilinear look-up of the picture and its differences gives the bicubic one, exactly.
    padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    across, down = padded.diff(n=2, dim=3), padded[..., 1:-1].diff(n=2, dim=2)
    four = torch.cat([picture, across[..., 1:-1, :], down, across.diff(n=2, dim=2)], dim=1)
    line, across, down, both = looked_up(four, flow).chunk(4, dim=1)
    (x, y), (height, width) = _targets(flow), flow.shape[2:]
    x, y = x.clamp(0, width - 1) % 1, y.clamp(0, height - 1) % 1
    bend_x, bend_y = x * (x - 1) / 2, y * (y - 1) / 2
    return line + bend_x * across + bend_y * (down + bend_x * both)


def looked_up(picture: Tensor, flow: Tensor) -> Tensor:
    """As `warp`, but bilinear, which is fit for what is smooth, and is warped once."""
    (x, y), (height, width) = _targets(flow), flow.shape[2:]
    # The outer edges of the border's pixels are at -1 and 1, so that a picture may be one pixel wide.
    grid = torch.stack([(2 * x[:, 0] + 1) / width - 1, (2 * y[:, 0] + 1) / height - 1], dim=-1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def inside(flow: Tensor) -> Tensor:
    """Mask [N, 1, H, W] in {0, 1} of the pixels that `flow` [N, 2, H, W] does not lead out of the picture."""
    height, width = flow.shape[2:]
    x, y = _targets(flow)
    return ((x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)).to(flow.dtype)


def consistent(forward: Tensor, backward: Tensor) -> Tensor:
    """Where `backward`, from now to previous, can be trusted: mask [N, 1, H, W] in {0, 1} over the frame now.

    Not where its target, followed on by `forward` (previous to now), does not come back (what one sees now was hidden
    before), nor at motion boundaries, nor where it leaves the picture. Conditions and constants of Ruder, Dosovitskiy
    and Brox 2016 (arXiv:1604.08610). Both flows [N, 2, H, W], in pixels.
    """
    there = looked_up(forward, backward)
    length = _squared(backward)
    hidden = _squared(there + backward) > 0.01 * (_squared(there) + length) + 0.5
    boundary = steepness(backward) > 0.01 * length + 0.002
    return inside(backward) * (~hidden & ~boundary)


def steepness(picture: Tensor) -> Tensor:
    """[N, 1, H, W]: squared differences from pixel to pixel of `picture` [N, C, H, W], down, across, all channels."""
    around = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    across = (around[..., 1:-1, 2:] - around[..., 1:-1, :-2]) / 2
    down = (around[..., 2:, 1:-1] - around[..., :-2, 1:-1]) / 2
    return _squared(across) + _squared(down)


def is_cut(first: Tensor, second: Tensor) -> bool:
    """Whether a new shot begins between two successive frames [1, 1 or 3, H, W] in [0, 1].

    True if thumbnails of equal brightness and contrast differ even after `first` has been moved along the flow: their
    mean squared difference exceeds `CUT` times that of unrelated pictures. Found on 15 photographs, textures and scans
    of scikit-image and two clips. Below it: pans by 5 % of the width a frame, zooms by 20 %, flashes, fades, noise,
    cross-fades in eight steps, and every fourth frame of the clips (0.3 at most). Above it: 207 of 210 pairs of
    different pictures, and the clips' one cut. Pans by 10 % of a texture may count as cuts too.
    """
    first, second = _thumbnail(first), _thumbnail(second)
    flow = dense(0.5 + second / 6, 0.5 + first / 6)  # three deviations to each side fill the grey levels
    difference = F.avg_pool2d((warp(first, flow) - second) * inside(flow), 2)  # so noise and near misses cancel
    return difference.square().mean().item() / 2 > CUT


def _thumbnail(frame: Tensor) -> Tensor:
    """Small grey levels of mean 0 and variance 1, or less where there is next to nothing to see."""
    height, width = frame.shape[2:]
    scale = THUMBNAIL / max(height, width)
    size = (max(round(height * scale), 2), max(round(width * scale), 2))
    grey = F.interpolate(frame.mean(1, keepdim=True), size, mode="bilinear", antialias=True)
    return (grey - grey.mean()) / (grey.var(correction=0) + 0.02**2).sqrt()


def _targets(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and rows [N, 1, H, W] that `flow` leads to."""
    columns = torch.arange(flow.shape[3], dtype=flow.dtype, device=flow.device)
    rows = torch.arange(flow.shape[2], dtype=flow.dtype, device=flow.device)
    return flow[:, :1] + columns, flow[:, 1:] + rows[:, None]


def _squared(vectors: Tensor) -> Tensor:
    """Squared length [N, 1, H, W] of the vectors [N, C, H, W]."""
    return vectors.square().sum(1, keepdim=True)
