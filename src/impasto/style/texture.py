"""Textures of any size from an exemplar (Gatys, Ecker and Bethge 2015, arXiv:1505.07376), without an edge on request.

Style without a content: the pixels start as noise and are optimised, from coarse to fine, until their statistics are
those of the exemplar. A texture that tiles is one whose other side begins where it ends, for all that looks at it.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto import device, provenance, weights
from impasto.errors import SettingsError
from impasto.media.formats import MAX_PIXELS
from impasto.media.picture import Picture, PictureLike, resize
from impasto.style import optimise
from impasto.style.cloud import Points, cloud_of
from impasto.style.objective import Extractor, LayerMoments, Objective, Region, blend, extractor_for, objective_for
from impasto.style.optimise import steps_at
from impasto.style.recipe import source
from impasto.style.settings import TEXTURE_STEPS, MaxPixels, Method, Settings, TextureSettings, in_proportion, shares_of
from impasto.style.source import Style, StyleImage, style_of
from impasto.style.stylize import Progress
from impasto.style.tiles import span, tile_for

QUALITIES = ("fine", "gallery")
UNUSED = ("size", "style_scale", "colour", "init", "content_layers", "content_weight")  # of `Settings`
WRAPS = {"no": (False, False), "x": (False, True), "y": (True, False), "both": (True, True)}  # down, across
LEVELS = 4  # reductions at which a texture is measured: there is no content to give it large forms
SMALLEST = 64  # pixels, on the short side of the smallest scale
BORDER = 32  # pixels of an exemplar that are not measured
MARGIN = 8  # pixels: how far resizing looks, and more
GRID = 16  # pixels: sides of every scale are multiples, or its features would not meet at the seam


@dataclass(frozen=True)
class Job(TextureSettings):
    """What the texture is made from, and what it shall be."""

    exemplars: Sequence[PictureLike]  # pictures or saved styles; several blend
    weights: str | PathLike[str] | None = None  # file to use instead of the quality's own network
    max_pixels: MaxPixels = MAX_PIXELS  # larger exemplars are refused


def synthesising(job: Job, settings: Settings) -> Iterator[Progress]:
    """Make a texture, yielding one `Progress` a step; the last has the result. Closing the generator ends the work.

    Raises:
        ImpastoError: what a user can mend, as `stylize.stylizing` says it.
    """
    if settings.quality not in QUALITIES:
        raise SettingsError(f"a texture is made with quality {' or '.join(QUALITIES)}, not {settings.quality!r}")
    settings.check_unused("a texture has no content", UNUSED)
    steps = TEXTURE_STEPS if settings.steps is None else in_proportion(TEXTURE_STEPS, settings.steps)
    method = replace(settings.resolved(), levels=LEVELS, content_layers=(), freedom=1.0, steps=steps)
    shares = shares_of(len(job.exemplars), settings.style_weights)
    device.configure_cpu()

    sizes = scales(job.height, job.width)
    whole = torch.empty(1, 3, *sizes[-1], device=device.pick_device(settings.device))
    tile = method.tile or tile_for(method.network, method.memory, whole)
    flat = extractor_for(method, whole, tile, job.weights)  # exemplars do not wrap round
    extractor = replace(flat, wrap=WRAPS[job.seamless])
    exemplars = [_in_proportion(s, job, method, whole) for s in job.exemplars]
    recipe = _recipe(job, replace(settings, memory=None, tile=tile), method.network)

    def objective(height: int, width: int) -> Objective:
        aims = [_aims(s, flat, max(height, width), max(sizes[-1])) for s in exemplars]
        statistics, points = zip(*aims, strict=True)
        region = Region(blend(list(statistics), shares), cloud=cloud_of(points, shares, flat.dtype))
        return objective_for(extractor, [region], torch.empty(1, 3, height, width), method)

    def begin(height: int, width: int, before: Tensor | None) -> Tensor:
        if before is not None:
            return periodic(before, height, width, extractor.wrap)
        return noise(exemplars, shares, height, width, settings.seed)

    counts = steps_at(method, len(sizes))
    for stage in optimise.coarse_to_fine(
        sizes, counts, objective, begin, optimiser=method.optimiser, wrap=extractor.wrap, **method.adam
    ):
        pixels = stage.now.picture
        result = partial(_finished, pixels, job, recipe)
        size = (pixels.shape[3], pixels.shape[2])
        yield Progress(stage.scale, len(sizes), stage.step, stage.steps, stage.done, stage.now.terms, size, result)


def scales(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the scales, doubling. The last is as asked for, or a little larger for the others to be on the grid."""
    count = 1
    while min(height, width) >= 2**count * SMALLEST:
        count += 1
    unit = GRID * 2 ** (count - 1)
    height, width = (-(-side // unit) * unit for side in (height, width))
    return [(height >> i, width >> i) for i in reversed(range(count))]


def periodic(pixels: Tensor, height: int, width: int, wrap: tuple[bool, bool]) -> Tensor:
    """`pixels` [1, 3, H, W] at another size. Where it wraps round, it does so afterwards, too."""
    if pixels.shape[2:] == (height, width):
        return pixels
    corners, sizes, around = [], [], pixels
    for axis, new, wraps in zip((2, 3), (height, width), wrap, strict=True):
        old = pixels.shape[axis]
        unit = old // math.gcd(old, new)  # pixels that become a whole number of pixels
        margin = wraps * unit * -(-MARGIN // unit)
        around = span(around, axis, -margin, old + margin)
        corners.append(margin * new // old)
        sizes.append(new + 2 * corners[-1])
    top, left = corners
    return resize(around, *sizes)[..., top : top + height, left : left + width]


def noise(exemplars: Sequence[Style], shares: Sequence[float], height: int, width: int, seed: int) -> Tensor:
    """Pixels [1, 3, height, width] without any order, with the exemplars' mean colour and covariance of colours."""
    white = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    result = torch.zeros_like(white)
    for exemplar, share in zip(exemplars, shares, strict=True):
        colours = exemplar.colours
        root = colours.covariance_root.float()
        coloured = torch.einsum("ij,njhw->nihw", root, white) + colours.mean.cpu()[:, None, None]
        result += share / sum(shares) * coloured
    return result.clamp(0, 1).to(exemplars[0].colours.mean.device)


def _in_proportion(given: PictureLike, job: Job, method: Method, whole: Tensor) -> Style:
    """The exemplar, a picture of it in its own size at the scale of the whole texture."""
    exemplar = style_of(given, method, whole, job.max_pixels)
    if isinstance(exemplar, StyleImage):
        own = max(exemplar.pixels.shape[2:]) / max(whole.shape[2:])
        exemplar = replace(exemplar, scale=own * job.scale)
    return exemplar


def _aims(exemplar: Style, extractor: Extractor, side: int, whole: int) -> tuple[list[LayerMoments], Points | None]:
    """What the texture aims at: a picture without its border, where features are those of an end that no texture has.

    With them, hard lines grew inside of textures that tile. What is transparent has such a border, too.
    """
    if not isinstance(exemplar, StyleImage):
        return exemplar.levels(extractor, side, whole), exemplar.points(extractor, side, whole)
    pixels, visible = exemplar.at(side)
    border = min(BORDER, min(pixels.shape[2:]) // 4)
    inside = _inside(torch.ones_like(pixels[:, :1]) if visible is None else visible, border)
    return extractor.statistics(pixels, inside), extractor.points(pixels, inside)


def _inside(visible: Tensor, border: int) -> Tensor:
    """`visible` [1, 1, H, W] without a border; where that would leave less than a quarter of it, a thinner one."""
    outside = F.pad(1 - visible, (border,) * 4, value=1.0)
    for kernel in ((2 * border + 1, 1), (1, 2 * border + 1)):
        outside = F.max_pool2d(outside, kernel, 1)
    inside = 1 - outside
    return inside if border == 0 or inside.sum() >= visible.sum() / 4 else _inside(visible, border // 2)


def _finished(pixels: Tensor, job: Job, recipe: dict[str, Any]) -> Picture:
    return Picture(periodic(pixels, job.height, job.width, WRAPS[job.seamless]).clamp(0, 1).cpu(), recipe=recipe)


def _recipe(job: Job, settings: Settings, network: str) -> dict[str, Any]:
    chosen = {name: value for name, value in dataclasses.asdict(settings).items() if value is not None}
    made = {"width": job.width, "height": job.height, "scale": job.scale, "seamless": job.seamless, **chosen}
    used = provenance.sha256(job.weights) if job.weights else weights.sha256_of(network)
    exemplars = [source(exemplar) for exemplar in job.exemplars]
    return {"command": "texture", **provenance.make_recipe({}, exemplars, made, {network: used})}
