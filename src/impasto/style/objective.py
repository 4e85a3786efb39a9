"""What a picture is optimised towards: the styles' statistics and the content's features, at several reductions.

`Objective.gradient` works in bounded memory. Statistics add over tiles, so the style loss and its derivative with
respect to the statistics are computed once, from the sums; that derivative is then sent through each tile. The
result is the gradient of the whole picture, exact, while only one tile's activations exist at a time.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto import device
from impasto.gaussian import Moments, measure, merge, rows
from impasto.perception import registry
from impasto.style import losses
from impasto.style.cloud import (
    GRID,
    LARGEST,
    Cloud,
    Points,
    averages_of,
    collected,
    directions,
    on_grid,
    patches_of,
    places,
    queries_of,
)
from impasto.style.settings import Method
from impasto.style.tiles import REACH, Tile, Wrap, block, cut, resized, stride

LayerMoments = dict[str, Moments]  # by layer


@dataclass(frozen=True)
class Extractor:
    """A network, and how it is applied to pictures: which layers, at how many reductions, how precisely, in what tiles.

    Statistics are taken of the picture and of its 1/2, 1/4, ... reductions (`levels` in all). That widens what
    shallow layers see, and stands in for the deep layers of VGG-19 that a small network does not have.
    """

    network: nn.Module
    style_layers: dict[str, float]  # layer: weight of its style loss
    content_layers: tuple[str, ...]
    match_layers: tuple[str, ...] = ()  # whose features are matched; one of them lies on the grid of places
    levels: int = 3
    content_level: int = 0  # the reduction that the content loss looks at, below `levels`
    dtype: torch.dtype | None = None  # of autocast; None computes in float32
    tile: int = 4096  # side in pixels
    wrap: Wrap = (False, False)

    def reductions(self, picture: Tensor) -> list[Tensor]:
        """`picture` [1, 3, H, W] and its halves, while the deepest layer still sees at least 4x4 positions."""
        pictures = [picture]
        while len(pictures) < self.levels and min(pictures[-1].shape[2:]) >= 8 * 2 ** (self._deepest - 1):
            height, width = pictures[-1].shape[2:]
            pictures.append(resized(pictures[-1], height // 2, width // 2, self.wrap))
        return pictures

    def tiles(self, picture: Tensor) -> list[Tile]:
        return list(cut(picture.shape[2], picture.shape[3], self.tile, REACH[self._deepest], self.wrap))

    def features(self, picture: Tensor, tile: Tile, layers: list[str]) -> dict[str, Tensor]:
        """Features of `layers` within `tile`, in float32."""
        mixed: AbstractContextManager[object] = nullcontext()
        if self.dtype is not None:
            mixed = torch.autocast(picture.device.type, self.dtype)
        with mixed:
            features = self.network(tile.outer(picture), layers)
        return {name: tile.inner(f, stride(name)).float() for name, f in features.items()}

    @torch.no_grad()
    def statistics(self, picture: Tensor, mask: Tensor | None = None) -> list[LayerMoments]:
        """Style statistics at each reduction of `picture`, within `mask` [1, 1, H, W] when given."""
        layers, found = list(self.style_layers), []
        for reduced in self.reductions(picture):
            grids = mask_on_grids(mask, reduced, layers)
            found.append(total([_measure(self.features(reduced, t, layers), t, grids) for t in self.tiles(reduced)]))
        return found

    @torch.no_grad()
    def points(self, picture: Tensor, mask: Tensor | None = None) -> Points:
        """The points of a style picture, within `mask` [1, 1, H, W] when given, evenly drawn where there are many."""
        height, width = picture.shape[2:]
        grid = torch.arange(-(-height // GRID) * -(-width // GRID)).view(1, 1, -1, -(-width // GRID))
        return collected(
            places(height, width, mask).drawn(LARGEST),
            (
                (tile.of(grid, GRID).flatten(), self.features(picture, tile, list(self.match_layers)))
                for tile in self.tiles(picture)
            ),
        )

    @torch.no_grad()
    def directions(self, picture: Tensor, cloud: Cloud) -> Tensor:
        """The directions [1, d, h, w] of all places of `picture`, in the scale of `cloud`, as precise as its keys."""
        found: Tensor | None = None
        for tile in self.tiles(picture):
            averages = averages_of(self.features(picture, tile, list(self.match_layers)))
            columns = cloud.columns({name: rows(average) for name, average in averages.items()})
            if found is None:
                grid = (-(-side // GRID) for side in picture.shape[2:])
                found = columns.new_empty(1, columns.shape[1], *grid, dtype=cloud.keys.dtype)
            here = tile.of(found, GRID)
            here.copy_(columns.T.view(here.shape))
        assert found is not None
        return directions(found)

    @torch.no_grad()
    def contents(self, picture: Tensor) -> dict[str, Tensor]:
        """Features [1, C, h, w] of the content layers at the content level, in bfloat16 to spare memory."""
        found: dict[str, Tensor] = {}
        if not self.content_layers:
            return found
        reduced = self.reductions(picture)[: self.content_level + 1][-1]
        height, width = reduced.shape[2:]
        for tile in self.tiles(reduced):
            for name, f in self.features(reduced, tile, list(self.content_layers)).items():
                shape = (1, f.shape[1], height // stride(name), width // stride(name))
                whole = found.setdefault(name, f.new_empty(shape, dtype=torch.bfloat16))
                tile.of(whole, stride(name)).copy_(f)
        return found

    @property
    def _deepest(self) -> int:
        return max(block(layer) for layer in (*self.style_layers, *self.content_layers, *self.match_layers))


@dataclass(frozen=True)
class Region:
    """A part of the picture and the style it gets: `mask` [1, 1, H, W] in [0, 1], None for the whole picture."""

    statistics: list[LayerMoments]
    mask: Tensor | None = None
    cloud: Cloud | None = None  # None where the style is matched by its moments alone


@dataclass(frozen=True)
class Anchor:
    """A picture to stay near: the frame before, moved to where its things are now (Ruder et al. 2016, section 4.2)."""

    picture: Tensor  # [1, 3, H, W]
    trust: Tensor  # [1, 1, H, W] in [0, 1]
    weight: float


@dataclass(frozen=True)
class Objective:
    """Everything the optimiser needs to judge a picture of one size.

    With `visible`, all losses are means over what is visible, as if there were nothing else.
    """

    extractor: Extractor
    regions: list[Region]
    contents: dict[str, Tensor]
    style_loss: Callable[[Moments, Moments], Tensor] = losses.gram
    relative: bool = True  # divide the content loss by the content's own variance
    style_weight: float = 1.0
    content_weight: float = 1.0
    variation_weight: float = 0.0
    variation_power: int = 2
    anchor: Anchor | None = None
    visible: Tensor | None = None  # [1, 1, H, W] in [0, 1]: how much each pixel counts; None: all do
    target: Tensor | None = None  # [1, 3, H, W], the content, which helps to choose points of the clouds
    match_weight: float = 0.0
    freedom: float = 0.5  # of the choice from the content: see cloud.queries_of
    matches: list[Tensor] = field(default_factory=list, init=False)  # by region: [1, 9, h, w], as Cloud.votes

    @torch.no_grad()
    def match(self, picture: Tensor) -> None:
        """Choose anew which points of its region's cloud each place of `picture` [1, 3, H, W] shall become like."""
        self.matches.clear()
        if not self.match_weight:
            return
        for region, content, mask in zip(self.regions, self._content_directions, self._match_weights, strict=True):
            assert region.cloud is not None
            queries = queries_of(self.extractor.directions(picture, region.cloud), content, self.freedom)
            matched = region.cloud.match(queries, mask, self.extractor.wrap)
            self.matches.append(region.cloud.votes(matched, self.extractor.wrap))

    @torch.enable_grad()
    def gradient(self, picture: Tensor) -> tuple[dict[str, float], Tensor]:
        """Weighted terms of the loss of `picture` [1, 3, H, W], and its gradient.

        The terms are "style", "content", "variation", and "temporal" where there is an anchor. Style is the loss of
        the moments, and where there are clouds, that of the points which `match` chose.
        """
        picture = picture.detach().requires_grad_()
        reductions = self.extractor.reductions(picture)
        leaves = [reduced.detach().requires_grad_() for reduced in reductions]
        style = content = 0.0
        for level, leaf in enumerate(leaves):
            with_content = level == min(self.extractor.content_level, len(leaves) - 1)
            found = self._add_gradient(level, len(leaves), leaf, list(self.contents) if with_content else [])
            style, content = style + found[0], content + found[1]
        judged = [
            (reduced, leaf.grad) for reduced, leaf in zip(reductions, leaves, strict=True) if leaf.grad is not None
        ]
        torch.autograd.backward([reduced for reduced, _ in judged], [gradient for _, gradient in judged])
        terms = {"style": style, "content": content, "variation": 0.0}
        if self.variation_weight:
            variation = self.variation_weight * losses.total_variation(picture, self.variation_power, self.visible)
            variation.backward()
            terms["variation"] = variation.item()
        if self.anchor is not None:
            distance = self.anchor.trust * (picture - self.anchor.picture).square()
            temporal = self.anchor.weight * losses.mean(distance, self.visible)
            temporal.backward()
            terms["temporal"] = temporal.item()
        assert picture.grad is not None
        return terms, picture.grad

    @cached_property
    def _content_powers(self) -> dict[str, Tensor | float]:
        weights = self._content_weights
        return {n: losses.variance(f, weights[n]) if self.relative else 1.0 for n, f in self.contents.items()}

    @cached_property
    def _content_weights(self) -> dict[str, Tensor | None]:
        """`visible` on the grids of the contents' features."""
        if self.visible is None:
            return dict.fromkeys(self.contents)
        return {n: F.adaptive_avg_pool2d(self.visible, (f.shape[2], f.shape[3])) for n, f in self.contents.items()}

    def _add_gradient(self, level: int, levels: int, leaf: Tensor, contents: list[str]) -> tuple[float, float]:
        """Add the gradient of one reduction's losses to `leaf.grad`; return its style and content losses."""
        tiles = self.extractor.tiles(leaf)
        matched = level == 0 and bool(self.matches)
        layers = [*self.extractor.style_layers, *contents, *(self.extractor.match_layers if matched else ())]
        layers = list(dict.fromkeys(layers))
        masks = [within(region.mask, self.visible) for region in self.regions]
        grids = [mask_on_grids(mask, leaf, list(self.extractor.style_layers)) for mask in masks]

        def measured(tile: Tile, layers: list[str]) -> tuple[dict[str, Tensor], list[LayerMoments]]:
            features = self.extractor.features(leaf, tile, layers)
            with torch.no_grad():
                return features, [_measure(features, tile, g) for g in grids]

        whole = len(tiles) == 1  # then the first pass keeps its graph, and no second is needed
        if whole:
            kept, first = measured(tiles[0], layers)
            moments = [first]
        else:
            with torch.no_grad():
                moments = [measured(tile, list(self.extractor.style_layers))[1] for tile in tiles]
        totals = [_leaves(total([found[i] for found in moments])) for i in range(len(self.regions))]
        style = self._style_loss(totals, level, levels)
        if style.requires_grad:
            style.backward()
        terms = {"style": style.item(), "content": 0.0}
        for tile in tiles:
            features = kept if whole else self.extractor.features(leaf, tile, layers)
            gradients = _feature_gradients(features, totals, tile, grids)
            local = {"style": self._matching_loss(features, tile)} if matched else {}
            if contents:
                local["content"] = self._content_loss(features, tile, contents)
            for name, loss in local.items():
                terms[name] += loss.item()
            roots = [*(features[name] for name in gradients), *local.values()]
            if roots:
                torch.autograd.backward(roots, [*gradients.values(), *[None] * len(local)])
        return terms["style"], terms["content"]

    def _matching_loss(self, features: dict[str, Tensor], tile: Tile) -> Tensor:
        """This tile's share of the mean distance of places from the points they shall become like."""
        loss = next(iter(features.values())).new_zeros(())
        patches = patches_of({name: features[name] for name in self.extractor.match_layers})
        for region, votes, weight in zip(self.regions, self.matches, self._match_weights, strict=True):
            assert region.cloud is not None
            targets = region.cloud.targets(rows(tile.of(votes, GRID)))
            far = region.cloud.distances(patches, targets)
            far = far if weight is None else far * tile.of(weight, GRID).flatten()
            loss = loss + far.sum() / (votes[0, 0].numel() * self._covered)
        return self.style_weight * self.match_weight * loss

    @cached_property
    def _content_directions(self) -> list[Tensor | None]:
        """Those of `target`, by region, which stay the same."""
        if self.freedom == 1:
            return [None] * len(self.regions)
        assert self.target is not None
        return [self.extractor.directions(self.target, region.cloud) for region in self.regions if region.cloud]

    @cached_property
    def _match_weights(self) -> list[Tensor | None]:
        """By region, how much each place belongs to it and is visible, [1, 1, h, w]."""
        masks = [within(region.mask, self.visible) for region in self.regions]
        return [None if mask is None else on_grid(mask) for mask in masks]

    @cached_property
    def _covered(self) -> float:
        """Share of the picture that is visible."""
        return 1.0 if self.visible is None else max(1e-9, self.visible.mean().item())

    def _style_loss(self, totals: list[LayerMoments], level: int, levels: int) -> Tensor:
        """Mean over layers (weighted), regions (by area) and reductions (a small style picture may have fewer)."""
        loss = next(iter(totals[0].values())).mean.new_zeros(())
        weights = self.extractor.style_layers
        for region, found in zip(self.regions, totals, strict=True):
            if level < len(region.statistics):
                area = 1.0 if region.mask is None else losses.mean(region.mask, self.visible).item()
                share = area / min(levels, len(region.statistics))
                for name, wanted in region.statistics[level].items():
                    loss = loss + share * weights[name] * self.style_loss(found[name], wanted)
        return self.style_weight * loss / sum(weights.values())

    def _content_loss(self, features: dict[str, Tensor], tile: Tile, contents: list[str]) -> Tensor:
        """This tile's share of the content loss, so that shares add up to the whole picture's."""
        loss = next(iter(features.values())).new_zeros(())
        for name in contents:
            wanted = self.contents[name]
            here = tile.of(wanted, stride(name)).float()
            share, weight = here.numel() / wanted.numel(), self._content_weights[name]
            if weight is not None:
                total_weight, weight = weight.sum(), tile.of(weight, stride(name))
                share = (weight.sum() / total_weight.clamp_min(1e-9)).item()
            term = losses.content(features[name], here, self._content_powers[name], weight)
            loss = loss + share / len(contents) * term
        return self.content_weight * loss


def within(mask: Tensor | None, visible: Tensor | None) -> Tensor | None:
    """Both masks [1, 1, H, W] at once, where None is everywhere."""
    if mask is None or visible is None:
        return visible if mask is None else mask
    return mask * visible


def mask_on_grids(mask: Tensor | None, picture: Tensor, layers: list[str]) -> dict[str, Tensor | None]:
    """`mask` [1, 1, h, w] averaged onto each layer's grid of features of `picture`."""
    if mask is None:
        return dict.fromkeys(layers)
    height, width = picture.shape[2:]
    return {n: F.adaptive_avg_pool2d(mask, (height // stride(n), width // stride(n))) for n in layers}


def total(parts: Sequence[LayerMoments], shares: Sequence[float] | None = None) -> LayerMoments:
    """The statistics of a picture from those of its tiles; with `shares` a blend of as many pictures."""
    return {name: merge([part[name] for part in parts], shares) for name in parts[0]}


def _measure(features: dict[str, Tensor], tile: Tile, grids: dict[str, Tensor | None]) -> LayerMoments:
    return {n: measure(features[n], None if grid is None else tile.of(grid, stride(n))) for n, grid in grids.items()}


def _leaves(moments: LayerMoments) -> LayerMoments:
    """Copies without history whose gradients the style loss fills in."""
    return {
        name: Moments(s.mean.detach().requires_grad_(), s.second.detach().requires_grad_(), s.weight)
        for name, s in moments.items()
    }


def _feature_gradients(
    features: dict[str, Tensor], totals: list[LayerMoments], tile: Tile, grids: list[dict[str, Tensor | None]]
) -> dict[str, Tensor]:
    """The style loss's gradient with respect to this tile's features: w (dL/dm + (dL/dS + dL/dS^T) f) / sum of w.

    Written out, for autograd would take a second matrix product, and one more to keep its graph.
    """
    gradients: dict[str, Tensor] = {}
    for moments, grid in zip(totals, grids, strict=True):
        for name, s in moments.items():
            if s.second.grad is None:
                continue
            gradient = rows(features[name].detach()) @ (s.second.grad + s.second.grad.T)
            if s.mean.grad is not None:
                gradient += s.mean.grad
            if (mask := grid[name]) is not None:
                gradient *= rows(tile.of(mask, stride(name)))
            gradient = (
                (gradient / s.weight.clamp_min(1e-6)).view(features[name].permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
            )
            gradients[name] = gradients[name] + gradient if name in gradients else gradient
    return gradients


def extractor_for(
    method: Method, whole: Tensor, tile: int, weights_file: str | PathLike[str] | None = None
) -> Extractor:
    """The network of `method`, and how it looks at pictures of the size of `whole` [1, 3, H, W]."""
    file = None if weights_file is None else Path(weights_file)
    network = registry.load(method.network, file, method.padding, method.pooling).to(whole.device)
    layers = dict.fromkeys(method.style_layers, 1.0)
    return Extractor(
        network,
        layers,
        method.content_layers,
        method.match_layers,
        levels=method.levels,
        dtype=dtype_for(method, whole),
        tile=tile,
    )


def dtype_for(method: Method, picture: Tensor) -> torch.dtype | None:
    return device.autocast_dtype(picture.device) if method.precision == "auto" else None


def objective_for(
    extractor: Extractor,
    regions: list[Region],
    target: Tensor,
    method: Method,
    visible: Tensor | None = None,
) -> Objective:
    """How a picture is judged that shall have the styles of `regions` and the content of `target`, and its size.

    Args:
        visible: [1, 1, H, W], how much each pixel counts; all do by default.
    """
    relative, matched = method.style_loss != "classic", all(region.cloud for region in regions)
    held = (2 * (1 - method.freedom)) ** 2 if matched else 1.0  # by the photograph
    values = target.numel() if visible is None else 3 * visible.sum().item()
    return Objective(
        extractor,
        regions,
        extractor.contents(target),
        style_loss=losses.STYLE_LOSSES[method.style_loss],
        relative=relative,
        style_weight=method.strength * method.style_weight,
        content_weight=held * method.content_weight,
        variation_weight=method.variation_weight * (1 if relative else values),  # the classic one is a sum
        variation_power=method.variation_power,
        visible=visible,
        target=target,
        match_weight=method.match_weight if matched else 0.0,
        freedom=method.freedom,
    )


def blend(statistics: list[list[LayerMoments]], shares: tuple[float, ...]) -> list[LayerMoments]:
    """One style out of several, at as many reductions as all of them have."""
    return [total(level, shares) for level in zip(*statistics, strict=False)]
