"""A style as a cloud of points: the features of each place of a painting, and which of them a place of a picture gets.

Every place of the result shall look like *some* place of the painting. Matching patches of features is Li and Wand's
(2016, arXiv:1601.04589, "CNNMRF") and Chen and Schmidt's (2016, arXiv:1612.04337, "Style-Swap"); the hypercolumns, the
cosine between what is centred, and targets that are chosen with the content's help are Kolkin et al.'s (2022,
arXiv:2203.13215, "Neural Neighbor Style Transfer"). Points add up like moments do: the cloud of several styles is their
union, that of a mask is the places within it.

A place is a square of GRID pixels. What it has of a layer is a patch: 8x8 features of block 1, 4x4 of block 2, 2x2 of
block 3, one of block 4. It is matched together with the eight places around it, and where its own match and those of
its neighbours say different things of it, it becomes their mean: so strokes go on from place to place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.style.tiles import Wrap, stride

GRID = 8  # pixels from one place to the next
AROUND = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]  # a place (number 4) and its neighbours
LARGEST = 8192  # points of a cloud; of more places, so many are drawn evenly
WINDOW = 8  # places along the side of a square that is drawn as one, so that its points keep their neighbours
ROWS = 2048  # places that are matched at a time
SEEN = 0.5  # share of a place that must belong to the style, for it to be a point
CROWD = 10  # places whose cosines tell how sought-after a point is
CROWDING = 0.5  # how much of that mean cosine a point loses: else few points get nearly all places
GUIDANCE = 0.6  # the content's share of a query, at most: its forms are held by a loss of their own
COHERENCE = 0.2  # what a point gains that all places around would have here: strokes go on, nothing is repeated
PASSES = 2  # times that places hear from those around
NOWHERE = -1  # instead of the index of a point


@dataclass(frozen=True)
class Points:
    """Places of a painting: `patches` [N, P] as `patches_of` gives them, of layers with so many `channels`."""

    patches: Tensor
    neighbours: Tensor  # [N, 9] indices of the points AROUND each, NOWHERE where there is none
    windows: Tensor  # [N], the number of the square that each lies in
    channels: dict[str, int]

    @property
    def sizes(self) -> list[int]:
        """Numbers in a patch of each layer."""
        return [channels * _step(name) ** 2 for name, channels in self.channels.items()]

    def drawn(self, largest: int) -> "Points":
        """At most so many of them, drawn evenly in squares, always the same."""
        if len(self.patches) <= largest:
            return self
        names, squares = self.windows.unique(return_inverse=True)
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).to(squares.device)
        keep = torch.zeros(len(squares), dtype=torch.bool, device=squares.device)
        keep[order[squares].argsort(stable=True)[:largest]] = True
        return self.only(keep)

    def only(self, keep: Tensor) -> "Points":
        """Those for which `keep` [N] is true."""
        index = torch.where(keep, keep.cumsum(0) - 1, NOWHERE)
        index = F.pad(index, (0, 1), value=NOWHERE)  # the last, which NOWHERE finds
        return Points(self.patches[keep], index[self.neighbours[keep]], self.windows[keep], self.channels)


def places(height: int, width: int, visible: Tensor | None = None) -> Points:
    """The places of a painting of `height` x `width` pixels, numbered row by row: points whose number is their patch.

    Args:
        visible: [1, 1, H, W], how much each pixel belongs to the style; all do by default.
    """
    height, width = -(-height // GRID), -(-width // GRID)
    index = torch.arange(height * width)
    windows = index // width // WINDOW * -(-width // WINDOW) + index % width // WINDOW
    every = Points(index[:, None], around(height, width), windows, {})
    if visible is None:
        return every
    share = on_grid(visible).flatten().cpu()
    return every.only((share > 0) & (share >= share.max().clamp(max=SEEN)))  # of thin lines, the fullest places


def collected(numbered: Points, parts: Iterable[tuple[Tensor, dict[str, Tensor]]]) -> Points:
    """The points of these `places`, from the numbers of all places in each part of a painting, and its features."""
    wanted, patches = numbered.patches[:, 0], torch.empty(0)
    for numbers, features in parts:
        found = patches_of(features)
        if not len(patches):
            patches = found.new_empty(len(wanted), found.shape[1])
        known = torch.isin(wanted, numbers)
        order = torch.searchsorted(numbers, wanted[known])
        patches[known.to(found.device)] = found[order.to(found.device)]
        channels = {name: f.shape[1] for name, f in features.items()}
    return Points(patches, numbered.neighbours.to(patches.device), numbered.windows.to(patches.device), channels)


def union(parts: Sequence[Points], shares: Sequence[float] | None = None) -> Points:
    """Points of all `parts`; with `shares`, as many of each as its share says (a blend of styles)."""
    if shares is not None:
        most = max(shares)
        parts = [p.drawn(max(1, round(len(p.patches) * s / most))) for p, s in zip(parts, shares, strict=True) if s]
    neighbours, windows, points, squares = [], [], 0, 0
    for part in parts:
        neighbours.append(torch.where(part.neighbours == NOWHERE, NOWHERE, part.neighbours + points))
        windows.append(part.windows + squares)
        points += len(part.patches)
        squares += int(part.windows.max()) + 1 if len(part.windows) else 0
    return Points(
        torch.cat([part.patches for part in parts]), torch.cat(neighbours), torch.cat(windows), parts[0].channels
    )


def patches_of(features: dict[str, Tensor]) -> Tensor:
    """All that each place has of `features` [1, C, h, w], [places, P]: each layer's channels, of each its patch.

    Places that reach beyond the picture have there what lies on its border.
    """
    height, width = _grid(features)
    parts = []
    for name, f in features.items():
        step = _step(name)
        beyond = (0, width * step - f.shape[3], 0, height * step - f.shape[2])
        parts.append(F.pixel_unshuffle(F.pad(f, beyond, mode="replicate") if any(beyond) else f, step))
    return torch.cat(parts, 1).permute(0, 2, 3, 1).flatten(0, 2)


def on_grid(mask: Tensor) -> Tensor:
    """`mask` [1, 1, H, W] averaged over each place, [1, 1, h, w]."""
    height, width = mask.shape[2:]
    beyond = (0, -width % GRID, 0, -height % GRID)
    return F.avg_pool2d(F.pad(mask, beyond, mode="replicate"), GRID)


@dataclass(frozen=True)
class Cloud:
    """Points to be matched. Layers are scaled to count alike, and all is centred by the style's own mean."""

    points: Points
    dtype: torch.dtype | None = None  # of what is compared; bfloat16 only turns choices that are as good; None: float32

    @cached_property
    def scale(self) -> Tensor:
        """[P]: of each layer, 1 / the root of the mean square of a whole patch."""
        scales = []
        for part in self.points.patches.split(self.points.sizes, 1):
            power = part.float().square().sum(1).mean().clamp_min(1e-12)
            scales.append(power.rsqrt().expand(part.shape[1]))
        return torch.cat(scales)

    @cached_property
    def mean(self) -> Tensor:
        """[P]: of the scaled patches."""
        return (self.points.patches.float() * self.scale).mean(0)

    @cached_property
    def keys(self) -> Tensor:
        """[N, 9 D] of length 1: what queries are compared with, each point's columns and those of its neighbours."""
        columns = self.columns(self.points.patches.float())
        columns = F.normalize(columns - columns.mean(0), dim=1).to(self.dtype or torch.float32)
        return _together(columns, self.points.neighbours, torch.arange(len(columns), device=columns.device))

    def columns(self, patches: Tensor) -> Tensor:
        """Hypercolumns [n, D] of `patches` [n, P]: each layer's patch averaged, and scaled to a mean square of 1."""
        parts = []
        scaled = (patches * self.scale).split(self.points.sizes, 1)
        for part, (name, channels) in zip(scaled, self.points.channels.items(), strict=True):
            step = _step(name)  # `scale` is for a whole patch of step x step features; an average of them is one
            parts.append(step * part.view(len(part), channels, step**2).mean(2))
        return torch.cat(parts, 1)

    def match(self, queries: Tensor, inside: Tensor | None = None, wrap: Wrap = (False, False)) -> Tensor:
        """The index [h, w] of the point that each place gets: of all, the one with the largest corrected cosine.

        A point's cosines are corrected by how near its nearest places are, so that no point is everyone's neighbour
        (Conneau et al. 2018, arXiv:1710.04087, equation 3). Then places hear which point follows from the match of each
        place around, and what continues it gains (as Ashikhmin 2001 and Hertzmann et al. 2001 prefer what is coherent).

        Args:
            queries: [1, D, h, w] as `queries_of` gives them.
            inside: [1, 1, h, w], how much each place counts; all do by default.
            wrap: whether the picture goes on at its other side, down and across.
        """
        height, width = queries.shape[2:]
        columns = queries[0].flatten(1).T.to(self.keys)
        places = around(height, width, wrap).to(columns.device)
        index = torch.arange(len(places), device=columns.device)
        asking = index if inside is None else index[inside.flatten() > 0]
        if not len(asking):
            return torch.zeros(height, width, dtype=torch.int64, device=columns.device)
        step = -(-len(asking) // ROWS)
        sample = _together(columns, places, asking[step // 2 :: step])
        crowd = torch.cat(
            [(part @ sample.T).float().topk(min(CROWD, len(sample))).values.mean(1) for part in self.keys.split(ROWS)]
        )
        matched = torch.zeros(0)
        for turn in range(1 + PASSES):
            votes = self.votes(matched, wrap)[0].flatten(1).T if turn else None
            nearest = []
            for part in index.split(ROWS):
                cosines = (_together(columns, places, part) @ self.keys.T).float().sub_(crowd, alpha=CROWDING)
                if votes is not None:
                    said = votes[part]
                    cosines.scatter_add_(1, said.clamp_min(0), COHERENCE / len(AROUND) * (said != NOWHERE))
                nearest.append(cosines.argmax(1))
            matched = torch.cat(nearest).view(height, width)
        return matched

    def votes(self, matched: Tensor, wrap: Wrap = (False, False)) -> Tensor:
        """The points that speak for each place, [1, 9, h, w]: its own and what follows from each neighbour's.

        If the place above gets a point, then this one shall look like the point below that one.

        Args:
            matched: [h, w], the index of the point that each place gets.
            wrap: as for `match`.
        """
        height, width = matched.shape
        theirs = around(height, width, wrap).to(matched.device).flip(1)  # who has this place at each of AROUND
        points = F.pad(matched.flatten(), (0, 1))[theirs]
        votes = self.points.neighbours[points, torch.arange(len(AROUND), device=matched.device)]
        return torch.where(theirs == NOWHERE, NOWHERE, votes).T.reshape(1, len(AROUND), height, width)

    def targets(self, votes: Tensor) -> Tensor:
        """What places shall look like, [n, P], scaled and centred: the mean of the points that speak for each.

        Args:
            votes: [n, 9], indices of points, NOWHERE where there is none.
        """
        counted = votes != NOWHERE
        weights = (counted / counted.sum(1, keepdim=True)).to(self._scaled)
        return F.embedding_bag(votes.clamp_min(0), self._scaled, mode="sum", per_sample_weights=weights)

    @cached_property
    def _scaled(self) -> Tensor:
        """[N, P]: the patches as `targets` has them."""
        return self.points.patches.float() * self.scale - self.mean

    def distances(self, patches: Tensor, targets: Tensor) -> Tensor:
        """1 - cosine [n] of `patches` [n, P], which are scaled and centred here, and `targets` [n, P]."""
        found = torch.addcmul(-self.mean, patches, self.scale)
        lengths = torch.linalg.vector_norm(found, dim=1) * torch.linalg.vector_norm(targets, dim=1)
        return 1 - torch.linalg.vecdot(found, targets) / lengths.clamp_min(1e-8)


def cloud_of(
    parts: Sequence[Points | None], shares: Sequence[float] | None = None, dtype: torch.dtype | None = None
) -> Cloud | None:
    """The cloud of `union`; None where a part has no points."""
    known = [part for part in parts if part is not None]
    return Cloud(union(known, shares), dtype) if len(known) == len(parts) else None


def directions(columns: Tensor) -> Tensor:
    """Hypercolumns [1, D, h, w], centred by their mean over the picture, of length 1: written over `columns`."""
    for part in columns.split(32, 1):  # PyTorch takes the mean of bfloat16 from a copy in float32
        part.sub_(part.mean((2, 3), keepdim=True))
    return _unit(columns)


def queries_of(own: Tensor, content: Tensor | None, freedom: float) -> Tensor:
    """What is looked for at each place: a mix of the picture's own directions and the content's, written over `own`.

    The content says *which* point of the style a place gets.

    Args:
        own: [1, D, h, w], as `directions` gives them.
        content: the same of the content, if there is one.
        freedom: from 0, where the content has its largest share, to 1, where it has none.
    """
    return own if content is None else _unit(own.lerp_(content, GUIDANCE * (1 - freedom)))


def around(height: int, width: int, wrap: Wrap = (False, False)) -> Tensor:
    """Numbers [height * width, 9] of the places AROUND each, row by row; NOWHERE beyond a border, unless it wraps."""
    y, x = torch.arange(height)[:, None, None], torch.arange(width)[:, None]
    down, across = torch.tensor(AROUND).T
    y, x = y + down, x + across
    known = ((y >= 0) & (y < height) | wrap[0]) & ((x >= 0) & (x < width) | wrap[1])
    return torch.where(known, y % height * width + x % width, NOWHERE).flatten(0, 1)


def _together(columns: Tensor, around: Tensor, places: Tensor) -> Tensor:
    """Columns [n, 9 D] of `places` [n] and those around them; in place of what is NOWHERE, those of the middle."""
    wanted = around[places]
    return columns[torch.where(wanted == NOWHERE, places[:, None], wanted)].flatten(1) / len(AROUND) ** 0.5


def _unit(columns: Tensor) -> Tensor:
    """`columns` [1, D, h, w] themselves, now of length 1."""
    return columns.div_(torch.linalg.vector_norm(columns, dim=1, keepdim=True).clamp_min(1e-12))


def _step(layer: str) -> int:
    """Features of a layer along a side of a place."""
    return GRID // stride(layer)


def _grid(features: dict[str, Tensor]) -> tuple[int, int]:
    """Height and width of the grid of places, the last of which may reach beyond the picture."""
    name = min(features, key=stride)
    return tuple(-(-side // _step(name)) for side in features[name].shape[2:])  # type: ignore[return-value]
