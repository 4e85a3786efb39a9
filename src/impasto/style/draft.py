"""`draft`: a picture of any size in any style, in one pass of the any-style network.

What the network needs of a style (`Canvas.seen`) blends like all statistics and points do, and once taken serves every
picture and frame. Statistics of a content add up over tiles and its places are matched all at once, so a picture that
is painted tile by tile is the one that would be painted at once.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from impasto import weights
from impasto.errors import WeightsError
from impasto.gaussian import Affine, Moments, measure, merge, monge
from impasto.style.anystyle import (
    ALIGNMENT,
    REACH,
    AnyStyle,
    AnyStyleConfig,
    Features,
    moments_of,
    queries_for,
    said_by,
    votes_for,
)
from impasto.style.cloud import GRID, LARGEST, PIXELS, Cloud, Points, averages_of, cloud_of, collected, on_grid, places
from impasto.style.objective import LayerMoments, Region, total, within
from impasto.style.settings import FINE
from impasto.style.tiles import Tile, cut, stride

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


@dataclass(frozen=True)
class Seen:
    """What the network needs of a style: statistics of its features, and its points, where there is a picture of it."""

    moments: LayerMoments
    points: Points | None = None


def region_of(
    styles: Sequence[Seen],
    shares: Sequence[float] = (1.0,),
    mask: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Region:
    """What is to look like these `styles`, each of its share, where `mask` [1, 1, H, W] is white: all by default.

    Args:
        dtype: of what is compared, as for `Cloud`.
    """
    moments = total([style.moments for style in styles], shares)
    return Region([moments], mask, cloud_of([style.points for style in styles], shares, dtype))


@dataclass(frozen=True)
class Guide:
    """What each place of a picture shall look like: something known of it, and the features that follow from that.

    Where a photograph asks for a part of the painting alone, or what several points say is averaged, the pixels that
    follow have not the colours of the whole painting, and are duller. One affine map gives them those.
    """

    places: Tensor  # [1, C, h, w]
    features: Callable[[Tensor], Features]  # of a part of `places`
    colours: Moments | None = None  # of all pixels; None: they stay as they are


@dataclass
class Canvas:
    """A content [1, 3, H, W] on its way through the network, in tiles of about `tile` pixels.

    Args:
        dtype: of autocast; None computes in float32.
        visible: [1, 1, H, W] in [0, 1], how much each pixel counts; None: all do.
    """

    model: AnyStyle
    picture: Tensor
    dtype: torch.dtype | None = None
    tile: int = 2048
    visible: Tensor | None = None
    _only: Features | None = field(default=None, init=False)  # where one tile is all
    _averages: Features = field(default_factory=dict, init=False)  # over places, of the whole picture

    def seen(self) -> Seen:
        """The content as a style, in whose manner others are painted."""
        height, width = self._padded.shape[2:]
        every = places(height, width, self._counted(None)).drawn(LARGEST)
        grid = torch.arange(height * width // GRID**2).view(1, 1, height // GRID, width // GRID)
        parts = ((tile.of(grid, GRID).flatten(), self._inner(tile)) for tile in self._tiles)
        return Seen(self.moments(), collected(every, parts))

    def moments(self, mask: Tensor | None = None) -> LayerMoments:
        """Statistics of the content's features, within `mask` [1, 1, H, W] in [0, 1] when given."""
        counted, parts = self._counted(mask), []
        for tile in self._tiles:
            inner = self._inner(tile)
            parts.append(moments_of(inner, None if counted is None else tile.of(counted, 1)))
            self._keep(tile, averages_of(inner))
        return total(parts)

    def painted(
        self,
        regions: Sequence[Region],
        strength: float = 1.0,
        freedom: float = FINE.freedom,
        moves: Sequence[Maps] | None = None,
        guides: Sequence[Guide | None] | None = None,
    ) -> Tensor:
        """The picture [1, 3, H, W] in [0, 1], each region where its mask is.

        Args:
            strength: how far the content's features go the way to the style's, from 0 to 1; more than 1 is freer.
            freedom: from 0, true to the photograph, to 1, free.
            moves: `maps` of each region; by default from the content's moments there.
            guides: of each region; by default as `guide` has them.
        """
        share, freedom = min(1.0, strength), 1 - (1 - freedom) / max(1.0, strength)
        moves = moves or [maps(region, self.moments(region.mask)) for region in regions]
        guides = guides or [self.guide(*pair) for pair in zip(regions, moves, strict=True)]
        weakened = [{name: move.weakened(share) for name, move in all_of.items()} for all_of in moves]
        masks = [None if region.mask is None else padded(region.mask) for region in regions]
        followed = [
            None if guide is None else self._followed(guide, region.mask)
            for guide, region in zip(guides, regions, strict=True)
        ]
        result = torch.empty_like(self._padded)
        for tile in self._tiles:
            moved = matched = features = self._encode(tile)
            for move, mask, follow in zip(weakened, masks, followed, strict=True):
                there = None if mask is None else tile.outer(mask)
                own = {name: move[name](f) for name, f in features.items() if name != PIXELS}
                moved = _mixed(moved, own, there, 1.0)
                if follow is None:
                    pixels = move[PIXELS](features[PIXELS])
                    matched = _mixed(matched, own | {PIXELS: pixels}, there, 1.0)
                else:
                    matched = _mixed(matched, follow(tile), there, share)
            with self._autocast():
                outer = self.model(moved, matched, freedom)
            tile.of(result, 1).copy_(tile.inner(outer, 1))
        height, width = self.picture.shape[2:]
        result = result[..., :height, :width].clamp(0, 1)
        cover = sum(region.mask for region in regions if region.mask is not None)
        return torch.lerp(self.picture, result, cover) if isinstance(cover, Tensor) else result

    def guide(self, region: Region, moves: Maps) -> Guide | None:
        """The points of its cloud that speak for each place of the picture; None where nothing has points.

        Args:
            moves: the `maps` of the region.
        """
        if region.cloud is None:
            return None
        counted = within(region.mask, self.visible)
        queries = self.queries(region.cloud, moves)
        votes = votes_for(region.cloud, queries, None if counted is None else on_grid(padded(counted, "constant")))
        return Guide(votes, partial(said_by, region.cloud), region.statistics[0][PIXELS])

    def _followed(self, guide: Guide, mask: Tensor | None) -> Callable[[Tile], Features]:
        """What follows from `guide` in a tile, in the colours that all of it shall have within `mask`."""

        def follow(tile: Tile) -> Features:
            return guide.features(tile.outer(guide.places, GRID))

        if guide.colours is None:
            return follow
        tiles, counted = self._tiles, self._counted(mask)
        if len(tiles) == 1:
            follow = cache(follow)
        pixels = ((tile, tile.inner(follow(tile)[PIXELS], 1)) for tile in tiles)
        found = merge([measure(shown, None if counted is None else tile.of(counted, 1)) for tile, shown in pixels])
        colours = monge(found, guide.colours)

        def coloured(tile: Tile) -> Features:
            features = follow(tile)
            return features | {PIXELS: colours(features[PIXELS])}

        return coloured

    def queries(self, cloud: Cloud, moves: Maps | None) -> Tensor:
        """What is looked for in a `cloud` at each place, [1, d, h, w]: features that were moved, or are as they are."""
        if not self._averages:
            for tile in self._tiles:
                self._keep(tile, averages_of(self._inner(tile)))
        averages = {name: f.float() for name, f in self._averages.items()}
        return queries_for(cloud, {name: moves[name](f) for name, f in averages.items()} if moves else averages)

    def features(self) -> Features:
        """All that the network sees of the content, continued to whole places."""
        found: Features = {}
        height, width = self._padded.shape[2:]
        for tile in self._tiles:
            for name, f in self._inner(tile).items():
                shape = (1, f.shape[1], height // stride(name), width // stride(name))
                tile.of(found.setdefault(name, f.new_empty(shape)), stride(name)).copy_(f)
        return found

    def _keep(self, tile: Tile, averages: Features) -> None:
        height, width = (side // GRID for side in self._padded.shape[2:])
        for name, average in averages.items():
            shape = (1, average.shape[1], height, width)
            whole = self._averages.setdefault(name, average.new_empty(shape, dtype=self.dtype))
            tile.of(whole, GRID).copy_(average)

    @cached_property
    def _padded(self) -> Tensor:
        return padded(self.picture)

    def _counted(self, mask: Tensor | None) -> Tensor | None:
        """How much each pixel of the padded picture counts; None: all do."""
        counted = within(mask, self.visible)
        if self._padded.shape == self.picture.shape:
            return counted
        return padded(torch.ones_like(self.picture[:, :1]) if counted is None else counted, "constant")

    @property
    def _tiles(self) -> list[Tile]:
        return list(cut(self._padded.shape[2], self._padded.shape[3], self.tile, REACH))

    def _encode(self, tile: Tile) -> Features:
        if self._only is not None:
            return self._only
        outer = tile.outer(self._padded)
        with self._autocast():
            features = self.model.encode(outer)
        if outer.shape == self._padded.shape:
            self._only = features
        return features

    def _inner(self, tile: Tile) -> Features:
        return {name: tile.inner(f, stride(name)) for name, f in self._encode(tile).items()}

    def _autocast(self) -> AbstractContextManager[object]:
        return nullcontext() if self.dtype is None else torch.autocast(self.picture.device.type, self.dtype)


def maps(region: Region, content: LayerMoments) -> Maps:
    """How features with the moments of `content` move onto the region's style."""
    return {name: monge(content[name], wanted) for name, wanted in region.statistics[0].items()}


def padded(picture: Tensor, mode: str = "replicate") -> Tensor:
    """`picture` [1, C, H, W] continued beyond its right and lower border, to sides that the network can halve."""
    right, bottom = (-picture.shape[axis] % ALIGNMENT for axis in (3, 2))
    return F.pad(picture, (0, right, 0, bottom), mode=mode)


def _mixed(before: Features, features: Features, mask: Tensor | None, share: float) -> Features:
    """Features [1, C, h, w] of `before`, and a share of the other `features` where `mask` [1, 1, H, W] is."""
    if mask is None and share == 1:
        return features
    found = {}
    for name, f in features.items():
        there = share if mask is None else share * F.adaptive_avg_pool2d(mask, (f.shape[2], f.shape[3]))
        found[name] = before[name] + there * (f - before[name])
    return found
