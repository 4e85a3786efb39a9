"""Strokes that stay on things: which places of the styles the places of a clip's frame show, kept from frame to frame.

A place of a frame (cloud.GRID) has a spot of the style pictures: the number of a style, and how far down and across in
it the place begins, in pixels, also between two of them. Where a thing moves on, its spots move on by exactly as much,
so that what was painted on it moves with it. As the style itself is looked up anew each time, nothing blurs. A place
shows its own spot and what follows from those of the places around it, so that no seams are seen between places.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.gaussian import rows
from impasto.style.anystyle import Features
from impasto.style.cloud import AROUND, GRID, PIXELS, Points, nearness
from impasto.style.tiles import stride

COLUMNS = "3/pixels"  # the name of what lies on the grid of places, for `shown_at`
SHOWN = 3  # spots of a place, at most: those that most of the nine are for, which mostly agree
AGREED = 1.0  # pixels that spots may be apart, down and across, and count as the same


@dataclass(frozen=True)
class Sheet:
    """Features of all styles that share a stride, to be looked up: `table` has a row for each feature of each style."""

    stride: int
    channels: dict[str, int]
    table: Tensor  # [N, C]
    first: Tensor  # [styles], the row that each style begins with
    height: Tensor  # [styles]
    width: Tensor  # [styles]


def sheets_of(styles: Sequence[Features]) -> dict[int, Sheet]:
    """The features [1, C, h, w] of the `styles`, which have the same names, by their stride in pixels."""
    sheets = {}
    for pixels in sorted({stride(name) for name in styles[0]}):
        names = [name for name in styles[0] if stride(name) == pixels]
        tables = [torch.cat([rows(style[name]) for name in names], 1) for style in styles]
        sides = torch.tensor([style[names[0]].shape[2:] for style in styles], device=tables[0].device)
        first = torch.tensor([len(table) for table in tables], device=sides.device).cumsum(0) - sides.prod(1)
        channels = {name: styles[0][name].shape[1] for name in names}
        sheets[pixels] = Sheet(pixels, channels, torch.cat(tables), first, sides[:, 0], sides[:, 1])
    return sheets


def spots_of(matched: Tensor, points: Points) -> Tensor:
    """The spots [1, 3, h, w] of places that get the points with the indices `matched` [h, w]."""
    return points.spots.to(matched.device).float()[matched].permute(2, 0, 1)[None]


def moved_on(spots: Tensor, back: Tensor) -> Tensor:
    """The `spots` of the frame before, where their things are now.

    Args:
        back: optical flow [1, 2, H, W] from now to the frame before, pixels right and down.
    """
    height, width = spots.shape[2:]
    beyond = (0, width * GRID - back.shape[3], 0, height * GRID - back.shape[2])
    across, down = F.avg_pool2d(F.pad(back, beyond, mode="replicate"), GRID)[0] / GRID  # in places
    y, x = torch.arange(height, device=back.device)[:, None] + down, torch.arange(width, device=back.device) + across
    row, column = y.round().clamp(0, height - 1), x.round().clamp(0, width - 1)
    found = spots[0][:, row.long(), column.long()]
    return (found + GRID * torch.stack([torch.zeros_like(y), y - row, x - column]))[None]


def shown_by(spots: Tensor, sheet: Sheet) -> tuple[Tensor, Tensor]:
    """What each place shows: up to SHOWN spots [SHOWN, 3, h, w], and who AROUND it is for each [SHOWN, 9, h, w].

    Args:
        sheet: any of the styles', for their sizes.
    """
    height, width = spots.shape[2:]
    around = F.pad(spots, (1, 1, 1, 1), value=-1)[0]  # beyond the border there is no style
    said = []
    for down, across in AROUND:
        theirs = around[:, 1 + down : 1 + down + height, 1 + across : 1 + across + width]
        said.append(theirs - GRID * theirs.new_tensor([0, down, across])[:, None, None])
    found = torch.stack(said)  # [9, 3, h, w]
    sizes = torch.stack([sheet.height, sheet.width]) * sheet.stride
    number = found[:, 0].long()
    there = (number >= 0) & (found[:, 1:] > -GRID / 2).all(1)
    for axis in (0, 1):
        there &= found[:, 1 + axis] < sizes[axis][number.clamp_min(0)] - GRID / 2
    there[AROUND.index((0, 0))] |= ~there.any(0)  # its own, if it has left the style: that goes on as its border is
    same = ((found[:, None] - found).abs() <= AGREED).all(2) & (number[:, None] == number) & there[:, None] & there
    own_first = sorted(range(len(AROUND)), key=lambda i: AROUND[i] != (0, 0))
    # Of spots that agree, the first speaks for all.
    later = torch.tril(same[own_first][:, own_first].permute(2, 3, 0, 1), -1).any(3).permute(2, 0, 1)
    count, chosen = (same.sum(1)[own_first] * ~later).topk(SHOWN, 0)
    chosen = torch.tensor(own_first, device=spots.device)[chosen][:, None]
    agreed = same.gather(0, chosen.expand(-1, len(AROUND), -1, -1)) & (count > 0)[:, None]
    return found.gather(0, chosen.expand(-1, 3, -1, -1)), agreed


def shown_at(spots: Tensor, sheets: dict[int, Sheet]) -> Features:
    """The features of places with such `spots` of the styles in `sheets`: means of what they show, bilinear.

    What a place says of pixels counts the more, the nearer they are to it, as in Cloud.pixels.
    """
    shown, agreed = shown_by(spots, next(iter(sheets.values())))
    number, down, across = shown.unbind(1)  # [SHOWN, h, w] each
    style, agreed = number.long().clamp_min(0), agreed.to(down)
    found: Features = {}
    for pixels, sheet in sheets.items():
        step, several = max(1, GRID // pixels), max(1, pixels // GRID)  # features of a place, or places of a feature
        fading = nearness().flip(0) if PIXELS in sheet.channels else torch.ones(len(AROUND), 1, 1)
        share = torch.einsum("snhw,nij->hiwjs", agreed, fading.to(agreed))  # of each that is shown
        share = share / share.sum(4, keepdim=True).clamp_min(1e-6)
        y, above = _between(down / pixels, step, several, sheet.height[style])  # [SHOWN, h, w, step]
        x, left = _between(across / pixels, step, several, sheet.width[style])
        below = above + (sheet.height[style] > 1)[..., None]
        right = left + (sheet.width[style] > 1)[..., None]
        wide, first = sheet.width[style][..., None], sheet.first[style][..., None]
        begins = torch.stack([above, above, below, below]) * wide + first  # of the rows in the table
        index = torch.add(*_crossed(begins.int(), torch.stack([left, right, left, right]).int())).flatten(0, 3)
        weight = torch.mul(*_crossed(torch.stack([1 - y, 1 - y, y, y]), torch.stack([1 - x, x, 1 - x, x])))
        weight = (weight.unflatten(4, (4, SHOWN)) * share[..., None, :]).flatten(4).flatten(0, 3)
        seen = F.embedding_bag(index, sheet.table, mode="sum", per_sample_weights=weight.to(sheet.table))
        seen = seen.view(1, step * spots.shape[2], step * spots.shape[3], -1).permute(0, 3, 1, 2)
        seen = F.avg_pool2d(seen, several) if several > 1 else seen
        found |= dict(zip(sheet.channels, seen.split(list(sheet.channels.values()), 1), strict=True))
    return found


def _between(begin: Tensor, step: int, several: int, size: Tensor) -> tuple[Tensor, Tensor]:
    """Where the `step` features of a place lie that begins at `begin` [...]: beyond an index, before the next.

    Returns:
        how far on the way to the next, in [0, 1], and the index, both [..., step]; outside it is as on the border.
    """
    own = (torch.arange(step, device=begin.device) + 0.5) / several - 0.5
    at = torch.minimum((begin[..., None] + own).clamp_min(0), size[..., None] - 1)
    index = torch.minimum(at.long(), (size[..., None] - 2).clamp_min(0))
    return at - index, index


def _crossed(down: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
    """What belongs to the four features around each, [4, SHOWN, h, w, step]: down to a row, and across to a column.

    Returns:
        [h, step, w, 1, 4 SHOWN] and [h, 1, w, step, 4 SHOWN]: together, a row for each feature, row by row.
    """
    down, across = down.flatten(0, 1).permute(1, 3, 2, 0), across.flatten(0, 1).permute(1, 2, 3, 0)
    return down.contiguous()[:, :, :, None], across.contiguous()[:, None]


def likeness(spots: Tensor, queries: Tensor, columns: dict[int, Sheet]) -> Tensor:
    """How like what is looked for [1, d, h, w] places are that show such `spots`: cosines [1, 1, h, w].

    Args:
        columns: the sheets of COLUMNS, what the styles' places are compared by, centred, as the cloud that queries are
            for has them.
    """
    return F.cosine_similarity(shown_at(spots, columns)[COLUMNS], queries.float(), dim=1)[:, None]
