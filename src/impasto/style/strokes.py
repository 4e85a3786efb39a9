"""Strokes that stay on things: which places of the styles the places of a clip's frame show, kept from frame to frame.

A place of a frame (cloud.GRID) shows up to three spots of the style pictures, of which it becomes the mean. A spot is
the number of a style, how far down and across in it the place begins, in pixels, also between two of them, and its
share in the mean. Where a thing moves on, its spots move on by exactly as much, so that what was painted on it moves
with it. As the style itself is looked up anew each time, nothing blurs.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.style.anystyle import Features
from impasto.style.cloud import GRID, NOWHERE, Points
from impasto.style.tiles import stride

COLUMNS = "3/pixels"  # the name of what lies on the grid of places, for `shown_at`
SPOTS = 3  # of a place, at most: those that most of its nine votes are for, which mostly agree
NUMBERS = 4  # of a spot: the style, down, across, the share


def spots_of(votes: Tensor, points: Points) -> Tensor:
    """The spots [1, SPOTS x NUMBERS, h, w] of the points that speak for each place, those with most votes.

    Args:
        votes: [1, 9, h, w], indices of `points`, NOWHERE where there is none.
    """
    said = votes[0]
    same = said[:, None] == said
    first = ~torch.tril(same.permute(2, 3, 0, 1), -1).any(3).permute(2, 0, 1)  # of votes for the same point
    count, chosen = (same.sum(1) * first * (said != NOWHERE)).topk(SPOTS, 0)
    spots = points.spots.to(votes.device).float()[said.gather(0, chosen).clamp_min(0)]  # [SPOTS, h, w, 3]
    share = count / count.sum(0).clamp_min(1)
    return torch.cat([spots, share[..., None]], 3).permute(0, 3, 1, 2).flatten(0, 1)[None]


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
    found = spots[0].view(SPOTS, NUMBERS, height, width)[:, :, row.long(), column.long()]
    still = torch.zeros_like(y)
    found = found + GRID * torch.stack([still, y - row, x - column, still])
    return found.flatten(0, 1)[None]


def shown_at(spots: Tensor, styles: Sequence[Features]) -> Features:
    """The features of places that show such `spots` of the `styles`: means of what lies there."""
    height, width = spots.shape[2:]
    number, down, across, share = spots[0].view(SPOTS, NUMBERS, height, width).unbind(1)  # [SPOTS, h, w] each
    found: Features = {}
    for pixels in sorted({stride(name) for name in styles[0]}):
        names = [name for name in styles[0] if stride(name) == pixels]  # looked up together
        step, several = max(1, GRID // pixels), max(1, pixels // GRID)  # features of a place, or places of a feature
        first = (torch.arange(step, device=spots.device) + 0.5) / several
        total = torch.zeros(())
        for i, style in enumerate(styles):
            picture = torch.cat([style[name] for name in names], 1)
            for y, x, weight in zip(down / pixels, across / pixels, share * (number == i), strict=True):
                if weight.any():
                    rows = _spread(y, step, 0) + first.repeat(height)[:, None]
                    columns = _spread(x, step, 1) + first.repeat(width)
                    at = torch.stack(
                        [_spread(columns, step, 0) / picture.shape[3], _spread(rows, step, 1) / picture.shape[2]], 2
                    )
                    seen = F.grid_sample(picture, 2 * at[None] - 1, padding_mode="border", align_corners=False)
                    total = total + _spread(_spread(weight, step, 0), step, 1) * seen
        total = F.avg_pool2d(total, several) if several > 1 else total
        found |= dict(zip(names, total.split([styles[0][name].shape[1] for name in names], 1), strict=True))
    return found


def likeness(spots: Tensor, queries: Tensor, columns: Sequence[Tensor]) -> Tensor:
    """How like what is looked for [1, d, h, w] places are that show such `spots`: cosines [1, 1, h, w].

    Args:
        columns: of each style, those of its places [1, d, h, w], centred, as the cloud that queries are for has them.
    """
    shown = shown_at(spots, [{COLUMNS: c} for c in columns])[COLUMNS]
    return F.cosine_similarity(shown, queries.to(shown), dim=1)[:, None]


def _spread(places: Tensor, step: int, axis: int) -> Tensor:
    return places.repeat_interleave(step, axis)
