"""A style as a cloud of points: the features of each place of a painting, and which of them a place of a picture gets.

Every place of the result shall look like *some* place of the painting. Matching patches of features is Li and Wand's
(2016, arXiv:1601.04589, "CNNMRF") and Chen and Schmidt's (2016, arXiv:1612.04337, "Style-Swap"); the hypercolumns, the
cosine between what is centred, and targets that are chosen with the content's help are Kolkin et al.'s (2022,
arXiv:2203.13215, "Neural Neighbor Style Transfer"). Points add up like moments do: the cloud of several styles is their
union, that of a mask is the places within it.

A place is a square of GRID pixels. What it has of a layer is a patch: 8x8 features of block 1, 4x4 of block 2, 2x2 of
block 3, one of block 4. It is matched together with the eight places around it. Then places hear from those around, as
in PatchMatch (Barnes et al. 2009): what follows from a neighbour's point is taken where it is nearer. Where its own
match and those of its neighbours say different things of a place, it becomes their mean: so strokes go on from place to
place.
"""

import warnings
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
ROWS = 2048  # points at a time that are compared with a sample of as many places
FEW = 512  # places at a time that are compared with all points
MANY = 8192  # places at a time that hear from those around
SEEN = 0.5  # share of a place that must belong to the style, for it to be a point
CROWD = 10  # places whose cosines tell how sought-after a point is
CROWDING = 0.5  # how much of that mean cosine a point loses: else few points get nearly all places
GUIDANCE = 0.6  # the content's share of a query, at most: its forms are held by a loss of their own
COHERENCE = 0.4  # what a point gains that all places around would have here: strokes go on, nothing is repeated
PASSES = 4  # times that places hear from those around
COMPONENTS = 64  # numbers that places are compared by: the leading principal components of their hypercolumns
POWERS = 2  # of the covariance, to find them
PIXELS = "pixels"  # the name of what is no layer of a network: places have it, and are not compared by it
BLOCK = 128  # numbers that the largest of many is looked for among
NOWHERE = -1  # instead of the index of a point

warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)  # what is used of it is tested


@dataclass(frozen=True)
class Points:
    """Places of a painting: `patches` [N, P] as `patches_of` gives them, of layers with so many `channels`."""

    patches: Tensor
    neighbours: Tensor  # [N, 9] indices of the points AROUND each, NOWHERE where there is none
    windows: Tensor  # [N], the number of the square that each lies in
    spots: Tensor  # [N, 3]: the number of the painting, and how far down and across in it the place begins, pixels
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
        neighbours = index[self.neighbours[keep]]
        return Points(self.patches[keep], neighbours, self.windows[keep], self.spots[keep], self.channels)


def places(height: int, width: int, visible: Tensor | None = None) -> Points:
    """The places of a painting of `height` x `width` pixels, numbered row by row: points whose number is their patch.

    Args:
        visible: [1, 1, H, W], how much each pixel belongs to the style; all do by default.
    """
    height, width = -(-height // GRID), -(-width // GRID)
    index = torch.arange(height * width)
    windows = index // width // WINDOW * -(-width // WINDOW) + index % width // WINDOW
    spots = torch.stack([torch.zeros_like(index), index // width * GRID, index % width * GRID], 1)
    every = Points(index[:, None], around(height, width), windows, spots, {})
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
    neighbours, windows, spots = (
        part.to(patches.device) for part in (numbered.neighbours, numbered.windows, numbered.spots)
    )
    return Points(patches, neighbours, windows, spots, channels)


def union(parts: Sequence[Points], shares: Sequence[float] | None = None) -> Points:
    """Points of all `parts`; with `shares`, as many of each as its share says (a blend of styles)."""
    numbered = list(enumerate(parts))
    if shares is not None:
        most = max(shares)
        numbered = [(i, p.drawn(max(1, round(len(p.patches) * shares[i] / most)))) for i, p in numbered if shares[i]]
    neighbours, windows, spots, points, squares = [], [], [], 0, 0
    for number, part in numbered:
        neighbours.append(torch.where(part.neighbours == NOWHERE, NOWHERE, part.neighbours + points))
        windows.append(part.windows + squares)
        spots.append(torch.cat([torch.full_like(part.spots[:, :1], number), part.spots[:, 1:]], 1))
        points += len(part.patches)
        squares += int(part.windows.max()) + 1 if len(part.windows) else 0
    patches = torch.cat([part.patches for _, part in numbered])
    return Points(patches, torch.cat(neighbours), torch.cat(windows), torch.cat(spots), parts[0].channels)


def patches_of(features: dict[str, Tensor]) -> Tensor:
    """All that each place has of `features` [1, C, h, w], [places, P]: each layer's channels, of each its patch.

    Places that reach beyond the picture have there what lies on its border.
    """
    parts = [F.pixel_unshuffle(f, _step(name)) for name, f in _continued(features).items()]
    return torch.cat(parts, 1).permute(0, 2, 3, 1).flatten(0, 2)


def features_of(patches: Tensor, channels: dict[str, int], height: int, width: int) -> dict[str, Tensor]:
    """The features whose `patches_of` are `patches` [places, P], on a grid of `height` x `width` places."""
    sizes = [count * _step(name) ** 2 for name, count in channels.items()]
    found = {}
    for name, part in zip(channels, patches.split(sizes, 1), strict=True):
        # A row for each place is how a picture lies in memory whose channels are the last.
        f = F.pixel_shuffle(part.unflatten(0, (1, height, width)).permute(0, 3, 1, 2), _step(name))
        found[name] = F.avg_pool2d(f, stride(name) // GRID) if stride(name) > GRID else f
    return found


def nearness() -> Tensor:
    """[9, GRID, GRID]: how much each pixel of a place has of what those say that have it at each of AROUND.

    What a place says of the three by three places around it fades from its middle on.
    """
    own = (torch.arange(GRID) + 0.5) / GRID - 0.5  # where the pixels are, in places from the middle
    fading = {offset: 1.5 - (own + offset).abs() for offset in (-1, 0, 1)}
    return torch.stack([fading[down][:, None] * fading[across] for down, across in AROUND])


def averages_of(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """Features of the layers averaged over each place, [1, C, h, w]."""
    layers = {name: f for name, f in _continued(features).items() if name != PIXELS}
    return {name: F.avg_pool2d(f, _step(name)) for name, f in layers.items()}


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
    def components(self) -> Tensor:
        """[D, d]: a basis of the leading principal components of the points' hypercolumns, nearly."""
        columns = self._hypercolumns(self._averages)
        columns = (columns - columns.mean(0)).cpu().double()
        covariance, basis = columns.T @ columns, start(columns.shape[1])
        for _ in range(POWERS):
            basis = torch.linalg.qr(covariance @ basis).Q
        return basis.to(self.points.patches)

    @cached_property
    def centre(self) -> Tensor:
        """[d]: the mean of the points' `columns`."""
        return self.columns(self._averages).mean(0)

    @cached_property
    def keys(self) -> Tensor:
        """[N, d] of length 1: what queries are compared with."""
        return F.normalize(self.columns(self._averages) - self.centre, dim=1).to(self.dtype or torch.float32)

    @cached_property
    def _wide_keys(self) -> Tensor:
        """[N, 9 d] of length 1, float32: each point's key and those of its neighbours."""
        index = torch.arange(len(self.keys), device=self.keys.device)
        return _together(self.keys.float(), self.points.neighbours, index)

    @cached_property
    def _averages(self) -> dict[str, Tensor]:
        """As of `averages_of`, [N, C]."""
        parts = zip(self.points.patches.float().split(self.points.sizes, 1), self.points.channels.items(), strict=True)
        return {name: part.view(len(part), count, -1).mean(2) for part, (name, count) in parts if name != PIXELS}

    def columns(self, averages: dict[str, Tensor]) -> Tensor:
        """The `components` [n, d] of places of which there are features averaged [n, C]; not centred."""
        return self._hypercolumns(averages) @ self.components

    def _hypercolumns(self, averages: dict[str, Tensor]) -> Tensor:
        """[n, D]: features of all layers, each scaled to a mean square of 1."""
        scales = dict(zip(self.points.channels, self.scale.split(self.points.sizes), strict=True))
        # `scale` is for a whole patch of step x step features; an average of them is one.
        return torch.cat([_step(name) * scales[name][0] * average for name, average in averages.items()], 1)

    def match(
        self, queries: Tensor, inside: Tensor | None = None, wrap: Wrap = (False, False), *, quick: bool = False
    ) -> Tensor:
        """The index [h, w] of the point that each place gets: of all, the one with the largest corrected cosine.

        A point's cosines are corrected by how near its nearest places are, so that no point is everyone's neighbour
        (Conneau et al. 2018, arXiv:1710.04087, equation 3). Then places hear which point follows from the match of each
        place around. With all places around, the nearest of those is taken, and what several say gains (as Ashikhmin
        2001 and Hertzmann et al. 2001 prefer what is coherent).

        Args:
            queries: [1, d, h, w] as `queries_of` gives them.
            inside: [1, 1, h, w], how much each place counts; all do by default.
            wrap: whether the picture goes on at its other side, down and across.
            quick: at first, each place is compared alone, not with those around it: a ninth of the work.
        """
        height, width = queries.shape[2:]
        asked = queries[0].flatten(1).T.to(self.keys)
        places = around(height, width, wrap).to(asked.device)
        index = torch.arange(len(places), device=asked.device)
        asking = index if inside is None else index[inside.flatten() > 0]
        if not len(asking):
            return torch.zeros(height, width, dtype=torch.int64, device=asked.device)
        step = -(-len(asking) // ROWS)
        sample = asked[asking[step // 2 :: step]].T
        crowd = CROWDING * torch.cat(
            [(part @ sample).float().topk(min(CROWD, len(asking))).values.mean(1) for part in self.keys.split(ROWS)]
        )
        keys = torch.cat([self.keys if quick else self._wide_keys.to(self.keys), -crowd[:, None].to(self.keys)], 1)
        keys = F.pad(keys, (0, 0, 0, -len(keys) % BLOCK)).T
        keys[-1, len(self.keys) :] = -torch.inf  # what fills the last block is nobody's nearest
        wanted = (asked[part] if quick else _together(asked, places, part) for part in index.split(FEW))
        matched = torch.cat([_largest(F.pad(part, (0, 1), value=1) @ keys) for part in wanted])
        asked = asked.float()
        heard = torch.full((len(index), len(AROUND)), NOWHERE - 1, device=asked.device)  # nothing yet
        for _ in range(PASSES):
            votes = self.votes(matched.view(height, width), wrap)[0].flatten(1).T
            listening, heard, next_one = index[(votes != heard).any(1)], votes, matched.clone()
            for part in listening.split(MANY):  # who hears what it heard before stays as it is
                said = votes[part]
                points = torch.where(said == NOWHERE, matched[part, None], said)  # 9 for each place, one its own
                cosines = _products(_together(asked, places, part), self._wide_keys, points) - crowd[points]
                cosines += COHERENCE / len(AROUND) * (points[:, :, None] == said[:, None]).sum(2)
                next_one[part] = points.gather(1, cosines.argmax(1, keepdim=True))[:, 0]
            matched = next_one
        return matched.view(height, width)

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

    def meant(self, votes: Tensor) -> Tensor:
        """Patches [n, P]: the mean of the points that speak for each place.

        Args:
            votes: [n, 9], indices of points, NOWHERE where there is none.
        """
        counted = votes != NOWHERE
        weights = (counted / counted.sum(1, keepdim=True)).to(self.points.patches)
        return F.embedding_bag(votes.clamp_min(0), self.points.patches, mode="sum", per_sample_weights=weights)

    def pixels(self, votes: Tensor) -> Tensor:
        """Patches of pixels [n, 3 GRID²], as `meant`, but each point counts the more, the nearer its place is.

        So there is no edge between places, where those around them say different things.
        """
        table = dict(zip(self.points.channels, self.points.patches.split(self.points.sizes, 1), strict=True))[PIXELS]
        total = table.new_zeros(len(votes), table.shape[1] // GRID**2, GRID**2)
        weight = table.new_zeros(len(votes), 1, GRID**2)
        for said, share in zip(votes.T, nearness().flatten(1).to(table), strict=True):
            counted = (said != NOWHERE).to(table)[:, None, None] * share
            total.addcmul_(counted, table.index_select(0, said.clamp_min(0)).view_as(total))
            weight += counted
        return (total / weight).flatten(1)

    def targets(self, votes: Tensor) -> Tensor:
        """What places shall look like, [n, P]: what is `meant`, scaled and centred."""
        return torch.addcmul(-self.mean, self.meant(votes), self.scale)

    def distances(self, patches: Tensor, targets: Tensor) -> Tensor:
        """1 - cosine [n] of `patches` [n, P], which are scaled and centred here, and `targets` [n, P]."""
        found = torch.addcmul(-self.mean, patches, self.scale)
        lengths = torch.linalg.vector_norm(found, dim=1) * torch.linalg.vector_norm(targets, dim=1)
        return 1 - torch.linalg.vecdot(found, targets) / lengths.clamp_min(1e-8)


def start(size: int) -> Tensor:
    """Where the search for the components of so many numbers begins: directions [size, d], always the same ones.

    Powers of the covariance turn them towards the components (Halko, Martinsson and Tropp 2011, arXiv:0909.4061).
    """
    draw = torch.Generator().manual_seed(0)
    directions = torch.randn(size, min(size, COMPONENTS), generator=draw, dtype=torch.float64)
    return torch.linalg.qr(directions).Q


def cloud_of(
    parts: Sequence[Points | None], shares: Sequence[float] | None = None, dtype: torch.dtype | None = None
) -> Cloud | None:
    """The cloud of `union`; None where a part has no points."""
    known = [part for part in parts if part is not None]
    return Cloud(union(known, shares), dtype) if len(known) == len(parts) else None


def directions(columns: Tensor) -> Tensor:
    """Hypercolumns [1, d, h, w], centred by their mean over the picture, of length 1: written over `columns`."""
    for part in columns.split(32, 1):  # PyTorch takes the mean of bfloat16 from a copy in float32
        part.sub_(part.mean((2, 3), keepdim=True))
    return _unit(columns)


def queries_of(own: Tensor, content: Tensor | None, freedom: float) -> Tensor:
    """What is looked for at each place: a mix of the picture's own directions and the content's, written over `own`.

    The content says *which* point of the style a place gets.

    Args:
        own: [1, d, h, w], as `directions` gives them.
        content: the same of the content, if there is one.
        freedom: from 0, where the content has its largest share, to 1, where it has none.
    """
    return own if content is None else _unit(own.lerp_(content, GUIDANCE * (1 - freedom)))


def around(height: int, width: int, wrap: Wrap = (False, False)) -> Tensor:
    """Numbers [height * width, 9] of the places AROUND each, row by row; NOWHERE beyond a border, unless it wraps."""
    y, x = torch.arange(height)[:, None, None], torch.arange(width)[:, None]
    down, across = torch.tensor(AROUND).T
    y, x = y + down, x + across
    y, x = y % height if wrap[0] else y, x % width if wrap[1] else x
    known = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return torch.where(known, y * width + x, NOWHERE).flatten(0, 1)


def _together(columns: Tensor, around: Tensor, places: Tensor) -> Tensor:
    """Columns [n, 9 D] of `places` [n] and those around them; in place of what is NOWHERE, those of the middle."""
    wanted = around[places]
    wanted = torch.where(wanted == NOWHERE, places[:, None], wanted)
    return columns.index_select(0, wanted.flatten()).unflatten(0, wanted.shape).flatten(1) / len(AROUND) ** 0.5


def _largest(values: Tensor) -> Tensor:
    """Where in each row of `values` [n, m] the largest is, the first of several; m is a multiple of BLOCK.

    PyTorch finds how large it is several times as fast as where it is; so that is looked for in its block alone.
    """
    blocks = values.unflatten(1, (-1, BLOCK))
    block = blocks.amax(2).argmax(1)
    return BLOCK * block + blocks[torch.arange(len(block), device=block.device), block].argmax(1)


def _products(queries: Tensor, keys: Tensor, chosen: Tensor) -> Tensor:
    """Products [n, m] of each of `queries` [n, D] with those of `keys` [N, D] that are `chosen` [n, m] for it."""
    if keys.device.type != "cpu":
        return torch.bmm(keys[chosen], queries[:, :, None])[..., 0]
    # As the entries of sparse matrices: to lay all those keys side by side would take several times as long.
    one_each, values = torch.arange(len(chosen) + 1), queries.new_zeros(len(chosen))
    found = []
    for column in chosen.T:
        size = len(queries), len(keys)
        entries = torch.sparse_csr_tensor(one_each, column.contiguous(), values, size, check_invariants=False)
        found.append(torch.sparse.sampled_addmm(entries, queries, keys.T, beta=0).values())
    return torch.stack(found, 1)


def _unit(columns: Tensor) -> Tensor:
    """`columns` [1, d, h, w] themselves, now of length 1."""
    return columns.div_(torch.linalg.vector_norm(columns, dim=1, keepdim=True).clamp_min(1e-12))


def _step(layer: str) -> int:
    """Features of a layer along a side of a place. Of a layer that is coarser than the grid, several share one."""
    return max(1, GRID // stride(layer))


def _continued(features: dict[str, Tensor]) -> dict[str, Tensor]:
    """`features` [1, C, h, w] of whole places: what reaches beyond the picture goes on as its border is."""
    finest = min(features, key=stride)
    height, width = (-(-side // _step(finest)) for side in features[finest].shape[2:])
    found = {}
    for name, f in features.items():
        if stride(name) > GRID:
            f = F.interpolate(f, scale_factor=stride(name) // GRID)[..., :height, :width]
        beyond = (0, width * _step(name) - f.shape[3], 0, height * _step(name) - f.shape[2])
        found[name] = F.pad(f, beyond, mode="replicate") if any(beyond) else f
    return found
