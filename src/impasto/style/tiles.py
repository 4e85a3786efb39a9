"""Pictures larger than memory: rectangles with a halo, so that a network sees each tile as it sees the whole."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto import device
from impasto.style.settings import DEFAULT_MEMORY, DEFAULT_SHARE

Wrap = tuple[bool, bool]  # whether a picture goes on at its other side, down and across

# Pixels on each side that can influence a feature, rounded up to the stride of the block (VGG-19 and compact).
REACH = {1: 8, 2: 16, 3: 32, 4: 64, 5: 144}
SMALLEST_TILE = 256  # pixels; smaller ones would be mostly halo
ALIGNMENT = 16  # stride of the deepest block: a tile starts where every block's pooling grid has a cell

# Peak memory of one gradient, measured: activations per pixel of a tile, and what the optimiser keeps per pixel of
# the picture. benchmarks/style_memory.py checks the sum.
BYTES_PER_PIXEL = {"compact": 3500, "vgg16": 4200, "vgg19": 4200, "anystyle": 520, "picture": 215}
FIXED_BYTES = 500_000_000  # PyTorch itself, weights, statistics


@dataclass(frozen=True)
class Tile:
    """A rectangle [top:bottom, left:right] of a picture, and the same widened by the halo where there is picture.

    Beyond a border of a picture that wraps round, there is its other side.
    """

    top: int
    bottom: int
    left: int
    right: int
    outer_top: int
    outer_bottom: int
    outer_left: int
    outer_right: int

    def outer(self, picture: Tensor, stride: int = 1) -> Tensor:
        """The tile with its halo, cut from `picture` [N, C, H / stride, W / stride] (a view, unless it wraps round)."""
        top, bottom = self.outer_top // stride, -(-self.outer_bottom // stride)
        left, right = self.outer_left // stride, -(-self.outer_right // stride)
        return span(span(picture, 2, top, bottom), 3, left, right)

    def inner(self, features: Tensor, stride: int) -> Tensor:
        """The tile without its halo, cut from the features [N, C, h, w] of `outer` at `stride` (a view)."""
        top, left = (self.top - self.outer_top) // stride, (self.left - self.outer_left) // stride
        height, width = self.bottom // stride - self.top // stride, self.right // stride - self.left // stride
        return features[..., top : top + height, left : left + width]

    def of(self, whole: Tensor, stride: int) -> Tensor:
        """The same place, cut from a map [N, C, H / stride, W / stride] of the whole picture (a view).

        What the map may have of a last row or column that reaches beyond the picture goes with it.
        """
        bottom, right = -(-self.bottom // stride), -(-self.right // stride)
        return whole[..., self.top // stride : bottom, self.left // stride : right]


def block(layer: str) -> int:
    """Number of the VGG-19 block that `layer` (such as "block3_conv1") belongs to."""
    return int(layer.removeprefix("block").split("_")[0])


def stride(features: str) -> int:
    """Pixels per feature, each way: of a layer, of a picture that was halved before ("2/block3_conv1"), of "pixels"."""
    halvings, _, layer = features.rpartition("/")
    return 2 ** (int(halvings or 0) + (0 if layer == "pixels" else block(layer) - 1))


def cut(height: int, width: int, side: int, halo: int, wrap: Wrap = (False, False)) -> Iterator[Tile]:
    """Cover a picture with tiles of about `side` pixels, each with `halo` more on every side where there is picture.

    A picture not much larger than `side` is one tile: a sliver of a tile would cost its halo for nothing.

    Args:
        wrap: whether the picture goes on at its other side, down and across.
    """
    down, across = wrap
    for top, bottom in _spans(height, side):
        for left, right in _spans(width, side):
            above, below = (top - halo, bottom + halo) if down else (max(top - halo, 0), min(bottom + halo, height))
            before, after = (left - halo, right + halo) if across else (max(left - halo, 0), min(right + halo, width))
            yield Tile(top, bottom, left, right, above, below, before, after)


def span(picture: Tensor, axis: int, begin: int, end: int) -> Tensor:
    """`picture` from `begin` to `end` along `axis`, wrapping round."""
    length = picture.shape[axis]
    if begin >= 0 and end <= length:
        return picture.narrow(axis, begin, end - begin)
    return picture.index_select(axis, torch.arange(begin, end, device=picture.device) % length)


def resized(picture: Tensor, height: int, width: int, wrap: Wrap = (False, False)) -> Tensor:
    """`picture` [N, C, H, W] half or twice as large, bilinear; what wraps round has even sides.

    At a half, the low-pass filter is the binomial 1-3-3-1 of the compact network's own reductions.
    """
    shrinks = height < picture.shape[2]
    before, after = (2, 1) if shrinks else (1, 2)  # pixels beyond the border: the filters reach less far
    down, across = (int(wraps) for wraps in wrap)
    outer = span(picture, 2, -before * down, picture.shape[2] + before * down)
    outer = span(outer, 3, -before * across, picture.shape[3] + before * across)
    size = (height + 2 * after * down, width + 2 * after * across)
    inner = F.interpolate(outer, size, mode="bilinear", antialias=shrinks)
    return inner[..., after * down : after * down + height, after * across : after * across + width]


def _spans(length: int, side: int) -> list[tuple[int, int]]:
    count = max(1, round(length / side))
    edges = [length * i // count // ALIGNMENT * ALIGNMENT for i in range(count)] + [length]
    return list(pairwise(edges))


def tile_for(network: str, memory: float | None, whole: Tensor) -> int:
    """Side in pixels of the largest tile whose activations fit into memory."""
    on_gpu = whole.device.type == "cuda"
    free = torch.cuda.mem_get_info(whole.device)[0] if on_gpu else device.free_memory()
    budget = min(DEFAULT_SHARE * free, DEFAULT_MEMORY * 1e9) if memory is None else min(0.9 * free, memory * 1e9)
    budget -= BYTES_PER_PIXEL["picture"] * whole[0, 0].numel() + FIXED_BYTES
    side = max(SMALLEST_TILE, math.isqrt(max(0, int(budget / BYTES_PER_PIXEL[network]))))
    return min(side, max(SMALLEST_TILE, *whole.shape[2:]))  # the same on every machine that needs no tiles
