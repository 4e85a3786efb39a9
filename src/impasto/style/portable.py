"""The quality `draft` as one graph without Python, for ONNX: a content and a style go in, a picture comes out.

It says the same as `anystyle.guided` and `Cloud.match`, in operations that every runtime has. Eigenvectors are none of
them: square roots of matrices come from Newton and Schulz's iteration, principal components from powers of the
covariance. A test compares the pictures.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.gaussian import RIDGE, rows
from impasto.perception.compact import TAPS
from impasto.style.anystyle import ALIGNMENT, LAYERS, LEVELS, AnyStyle, Features
from impasto.style.cloud import (
    AROUND,
    COHERENCE,
    CROWD,
    CROWDING,
    GRID,
    PASSES,
    PIXELS,
    POWERS,
    ROWS,
    around,
    nearness,
    start,
)
from impasto.style.tiles import stride

NEWTON = 20  # steps of Newton and Schulz: by then a pixel is wrong by 0.2 of 255
INPUTS, OUTPUTS = ["content", "style", "freedom"], ["picture"]
EXAMPLES = ((1, 3, 170, 200), (1, 3, 160, 192), ())  # shapes of inputs, to trace the graph with
FREE = [(2, 3), (2, 3), ()]  # their dimensions that may be others


class Portable(nn.Module):
    """The any-style network with all that goes before it.

    Inputs: a content [1, 3, H, W] and a style [1, 3, h, w], sRGB in [0, 1], and how freely it is painted, 0 to 1. What
    of the style goes beyond multiples of 16 pixels is left out. Output: the picture [1, 3, H, W].
    """

    def __init__(self, model: AnyStyle):
        super().__init__()
        self.model, self.network = model.float(), model.encoder.float()
        self.register_buffer("start", start(len(LEVELS) * sum(TAPS[layer] for layer in LAYERS)).float())

    def forward(self, content: Tensor, style: Tensor, freedom: Tensor) -> Tensor:
        height, width = content.shape[2:]
        style = style[..., : style.shape[2] // ALIGNMENT * ALIGNMENT, : style.shape[3] // ALIGNMENT * ALIGNMENT]
        beyond = (0, -width % ALIGNMENT, 0, -height % ALIGNMENT)
        ours, theirs = self._encode(F.pad(content, beyond, mode="replicate")), self._encode(style)
        counted = F.pad(torch.ones_like(content[:, :1]), beyond)  # not what was added
        moved: Features = {}
        for layer in LAYERS:  # of all reductions at once
            moved |= _moved([f"{level}/{layer}" for level in LEVELS], ours, theirs, counted)
        matched = self._matched(moved, theirs)
        matched |= _moved([PIXELS], matched, theirs, counted)
        return self.model(moved, matched, freedom)[..., :height, :width].clamp(0, 1)

    def _encode(self, picture: Tensor) -> Features:
        """As AnyStyle.encode."""
        found, seen = {PIXELS: picture}, picture
        for level in LEVELS:
            seen = halved(seen)
            found |= {f"{level}/{layer}": f for layer, f in self.network(seen, LAYERS).items()}
        return found

    def _matched(self, moved: Features, style: Features) -> Features:
        """As `guided` has it."""
        (keys, height, width), (queries, high, wide) = self._compared(style, moved)
        neighbours, beyond = around(height, width), around(high, wide)
        step = (queries.shape[0] + ROWS - 1) // ROWS
        crowd = CROWDING * (queries[step // 2 :: step] @ keys.T).topk(CROWD, 0).values.mean(0)
        match = (queries @ keys.T - crowd).argmax(1)
        # In place of what is not there, the middle.
        beside = queries[torch.where(beyond < 0, torch.arange(beyond.shape[0])[:, None], beyond)]  # [n, 9, d]
        follows = torch.where(neighbours < 0, torch.arange(neighbours.shape[0])[:, None], neighbours)
        votes = _votes(match, neighbours, beyond)
        for _ in range(PASSES):
            points = torch.where(votes < 0, match[:, None], votes)
            cosines = (keys[follows[points]] * beside[:, None]).sum((2, 3)) / len(AROUND) - crowd[points]
            agreed = (points[:, :, None] == votes[:, None]).sum(2)
            best = (cosines + COHERENCE / len(AROUND) * agreed).argmax(1, keepdim=True)
            match = points.gather(1, best)[:, 0]
            votes = _votes(match, neighbours, beyond)
        return _said(votes, style, high, wide)

    def _compared(self, style: Features, moved: Features) -> list[tuple[Tensor, int, int]]:
        """Directions of places [n, d] of both, with the height and width of their grids."""
        columns, scales = [], {n: rows(f).square().sum(1).mean().rsqrt() for n, f in style.items() if n != PIXELS}
        for features in (style, moved):
            parts = []
            for name, scale in scales.items():
                f = features[name]
                f = F.avg_pool2d(f, GRID // stride(name)) if stride(name) <= GRID else _repeated(f)
                parts.append(scale * f)
            columns.append(torch.cat(parts, 1))
        ours = rows(columns[0])
        mean = ours.mean(0)
        centred = ours - mean
        covariance = centred.T @ centred
        basis = self.get_buffer("start")
        for _ in range(POWERS):
            basis = covariance @ basis
            basis = basis @ _roots((basis.T @ basis)[None])[1][0]
        return [(F.normalize((rows(c) - mean) @ basis, dim=1), c.shape[2], c.shape[3]) for c in columns]


def halved(picture: Tensor) -> Tensor:
    """`picture` [1, 3, H, W] at half the size, as torch's bilinear resizing with a low-pass filter makes it."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps).expand(3, 1, 4, 4)
    whole = F.conv2d(torch.ones_like(picture), kernel, stride=2, padding=1, groups=3)  # less at the borders
    return F.conv2d(picture, kernel, stride=2, padding=1, groups=3) / whole


def _repeated(f: Tensor) -> Tensor:
    """Each feature [1, C, h, w] for two by two places."""
    return F.interpolate(f, scale_factor=2.0, mode="nearest")


def _roots(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Square roots of symmetric positive matrices [N, C, C], and their inverses, by Newton and Schulz's iteration."""
    size = matrices.square().sum((1, 2), keepdim=True).sqrt()
    unit = torch.eye(matrices.shape[1], dtype=matrices.dtype)
    root, inverse, more = matrices / size, unit, 1.5 * unit
    for _ in range(NEWTON):
        step = more - 0.5 * inverse @ root
        root, inverse = root @ step, step @ inverse
    return root * size.sqrt(), inverse / size.sqrt()


def _moved(names: list[str], content: Features, style: Features, counted: Tensor) -> Features:
    """Features of as many channels, with the style's statistics, as gaussian.monge has it.

    Args:
        counted: [1, 1, H, W], how much each pixel of the content counts.
    """
    weights = [F.avg_pool2d(counted, stride(name)) for name in names]
    means, own = _moments([content[name] for name in names], weights)
    wanted_means, wanted = _moments([style[name] for name in names], [torch.ones_like(style[n][:, :1]) for n in names])
    channels = means.shape[1]
    unit = torch.eye(channels)
    drawn = torch.stack([channels / (channels + weight.sum()) for weight in weights])[:, None, None]
    floor = RIDGE * (wanted * unit).sum((1, 2), keepdim=True) / channels
    own, wanted = ((1 - drawn) * spread + drawn * spread * unit + floor * unit for spread in (own, wanted))
    root, inverse = _roots(own)
    matrix = inverse @ _roots(root @ wanted @ root)[0] @ inverse
    offset = wanted_means - (matrix @ means[:, :, None])[:, :, 0]
    kernel = matrix[..., None, None]
    return {name: F.conv2d(content[name], kernel[i], offset[i]) for i, name in enumerate(names)}


def _moments(features: list[Tensor], weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Means [N, C] and covariances [N, C, C] of N features [1, C, h, w], positions counted by weights [1, 1, h, w]."""
    means, spreads = [], []
    for f, weight in zip(features, weights, strict=True):
        values, share = rows(f), rows(weight)
        weighted = values * (share / share.sum())
        mean = weighted.sum(0)
        means.append(mean)
        spreads.append(weighted.T @ values - mean[:, None] * mean)
    return torch.stack(means), torch.stack(spreads)


def _votes(match: Tensor, neighbours: Tensor, beyond: Tensor) -> Tensor:
    """The points that speak for each place [n, 9], as Cloud.votes."""
    theirs = beyond.flip(1)
    points = match[theirs.clamp_min(0)]
    return torch.where(theirs < 0, -1, neighbours[points, torch.arange(len(AROUND))])


def _said(votes: Tensor, style: Features, height: int, width: int) -> Features:
    """Features of the style where it is matched, as anystyle.said_by."""
    known = (votes >= 0).float()
    steps = {name: max(1, GRID // stride(name)) for name in style}
    parts = [F.pixel_unshuffle(_repeated(f) if stride(n) > GRID else f, steps[n]) for n, f in style.items()]
    patches = rows(torch.cat(parts, 1))
    near = nearness().flatten(1).repeat(1, 3)
    shares = torch.cat(
        [near if n == PIXELS else near.new_ones(9, p.shape[1]) for n, p in zip(style, parts, strict=True)], 1
    )
    weight = known[:, :1] * shares[0]
    total = weight * patches[votes[:, 0].clamp_min(0)]
    for i in range(1, len(AROUND)):
        share = known[:, i : i + 1] * shares[i]
        total, weight = total + share * patches[votes[:, i].clamp_min(0)], weight + share
    total = total / weight
    found = {}
    for name, part in zip(style, total.split([part.shape[1] for part in parts], 1), strict=True):
        said = F.pixel_shuffle(part.T.reshape(1, -1, height, width), steps[name])
        found[name] = F.avg_pool2d(said, 2) if stride(name) > GRID else said
    return found
