"""`draft`: a picture of any size in any style, in one pass of the any-style network.

What the network needs of a style are its statistics (`Canvas.moments`); they blend like all statistics, and once taken
serve every picture and frame. Statistics of a content add up over tiles, so a picture that is painted tile by tile is
the one that would be painted at once.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from impasto import weights
from impasto.errors import WeightsError
from impasto.gaussian import Affine, monge
from impasto.style.anystyle import ALIGNMENT, DETAIL, REACH, AnyStyle, AnyStyleConfig, moments_of
from impasto.style.objective import LayerMoments, total
from impasto.style.tiles import Tile, cut
from impasto.style.tiles import stride as layer_stride

Maps = Mapping[str, Affine]  # by feature: where a style's statistics are


def load(file: Path | None = None) -> AnyStyle:
    """The any-style network with its bundled weights, or with those in `file`.

    Raises:
        WeightsError: the file is missing, or holds something else.
    """
    model = AnyStyle(AnyStyleConfig())
    file = file or weights.path("anystyle")
    try:
        model.load_state_dict(load_file(file))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{file} does not hold weights of the any-style network: {reason}") from error
    return model.requires_grad_(False).eval()


def maps(content: LayerMoments, style: LayerMoments, strength: float = 1.0) -> Maps:
    """How features of a content move onto a style: all the way from strength 1 on, not at all at 0."""
    return {name: monge(content[name], wanted).weakened(min(1.0, strength)) for name, wanted in style.items()}


@dataclass
class Canvas:
    """A content [1, 3, H, W] on its way through the network, in tiles of about `tile` pixels.

    Args:
        dtype: of autocast; None computes in float32.
    """

    model: AnyStyle
    picture: Tensor
    dtype: torch.dtype | None = None
    tile: int = 2048
    _only: dict[str, Tensor] | None = field(default=None, init=False)  # the features, where one tile is all

    def moments(self, mask: Tensor | None = None) -> LayerMoments:
        """Statistics of the content's features, within `mask` [1, 1, H, W] in [0, 1] when given."""
        picture, parts = _padded(self.picture), []
        if picture.shape != self.picture.shape:  # what was added for the network does not count
            mask = torch.ones_like(self.picture[:, :1]) if mask is None else mask
        grid = None if mask is None else _padded(mask, "constant")
        for tile in self._tiles(picture):
            inner = {name: tile.inner(f, stride(name)) for name, f in self._encode(picture, tile).items()}
            parts.append(moments_of(inner, None if grid is None else tile.of(grid, 1)))
        return total(parts)

    def painted(self, regions: Sequence[tuple[Maps, Tensor | None]], strength: float = 1.0) -> Tensor:
        """The picture [1, 3, H, W] in [0, 1] after the maps of each region: where its mask is, or everywhere.

        From `strength` 1/2, where all details are kept, to 3/2, where none are, more and more of them are painted.
        """
        height, width = self.picture.shape[2:]
        picture = _padded(self.picture)
        masks = [None if mask is None else _padded(mask) for _, mask in regions]
        detail = min(1.0, max(0.0, DETAIL + 1 - strength))
        result = torch.empty_like(picture)
        for tile in self._tiles(picture):
            features = self._encode(picture, tile)
            grids = [None if mask is None else tile.outer(mask) for mask in masks]
            moved = {name: _moved(f, [m[name] for m, _ in regions], grids) for name, f in features.items()}
            with self._mixed():
                outer = self.model(moved, detail)
            tile.of(result, 1).copy_(tile.inner(outer, 1))
        result = result[..., :height, :width].clamp(0, 1)
        cover = sum(mask for _, mask in regions if mask is not None)
        return torch.lerp(self.picture, result, cover) if isinstance(cover, Tensor) else result

    def _tiles(self, picture: Tensor) -> list[Tile]:
        return list(cut(picture.shape[2], picture.shape[3], self.tile, REACH))

    def _encode(self, picture: Tensor, tile: Tile) -> dict[str, Tensor]:
        if self._only is not None:
            return self._only
        with self._mixed():
            features = self.model.encode(tile.outer(picture))
        if tile.outer(picture).shape == picture.shape:
            self._only = features
        return features

    def _mixed(self) -> AbstractContextManager[object]:
        return nullcontext() if self.dtype is None else torch.autocast(self.picture.device.type, self.dtype)


def stride(name: str) -> int:
    """Pixels from one feature to the next, of those that `AnyStyle.encode` gives."""
    if name == "pixels":
        return 1
    level, layer = name.split("/")
    return 2 ** int(level) * layer_stride(layer)


def _padded(picture: Tensor, mode: str = "replicate") -> Tensor:
    """`picture` [1, C, H, W] continued beyond its right and lower border, to sides that the network can halve."""
    right, bottom = (-picture.shape[axis] % ALIGNMENT for axis in (3, 2))
    return F.pad(picture, (0, right, 0, bottom), mode=mode)


def _moved(features: Tensor, moves: Sequence[Affine], masks: Sequence[Tensor | None]) -> Tensor:
    """`features` [1, C, h, w] moved by each of the maps as far as its mask [1, 1, H, W] says."""
    if len(moves) == 1 and masks[0] is None:
        return moves[0](features)
    result = features
    for move, mask in zip(moves, masks, strict=True):
        share = 1.0 if mask is None else F.adaptive_avg_pool2d(mask, (features.shape[2], features.shape[3]))
        result = result + share * (move(features) - features)
    return result
