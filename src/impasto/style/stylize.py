"""The one entry to style transfer of pictures: picks the quality, joins the parts, gives a Picture back.

import impasto
impasto.stylize("photo.jpg", "painting.jpg", size=768).save("out.png")
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto import device, picture, provenance, weights
from impasto.errors import PictureError, SettingsError
from impasto.perception import registry
from impasto.picture import Picture, fit, resize
from impasto.style import colour, losses, optimise, regions
from impasto.style.objective import Eye, Goal, Moments, Region
from impasto.style.settings import Quality, Settings
from impasto.style.statistics import merge

PictureLike = str | PathLike[str] | Picture

LONGEST_DEFAULT = 1024  # pixels; what nobody asked for should not take minutes
SMALLEST_SCALE = 96  # pixels on the long side; below it a picture is colours, not forms
SHORTEST_SIDE = 16  # pixels
SMALLEST_TILE = 256  # pixels; smaller ones would be mostly halo

# Peak memory of one gradient, measured: activations per pixel of a tile, and what the optimiser keeps per pixel of
# the picture. benchmarks/style_memory.py checks the sum.
BYTES_PER_PIXEL = {"compact": 1800, "vgg19": 4200, "picture": 190}
FIXED_BYTES = 500_000_000  # PyTorch itself, weights, statistics
DEFAULT_BYTES = 3_500_000_000  # taken unless asked for more: larger tiles are hardly faster


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step; `result` turns the picture so far into a finished one."""

    scale: int  # from 1
    scales: int
    step: int  # within the scale, from 1
    steps: int
    done: float  # share of all work, in (0, 1]
    terms: dict[str, float]  # weighted loss terms: style, content, variation
    size: tuple[int, int]  # width and height at this scale, pixels
    result: Callable[[], Picture]

    @property
    def loss(self) -> float:
        return sum(self.terms.values())


@dataclass(frozen=True)
class Job:
    """The pictures and files of a run. Pictures may be paths or already read."""

    content: PictureLike
    styles: Sequence[PictureLike]  # one, several that blend, or as many as masks
    masks: Sequence[PictureLike] = ()  # where each style goes (white); the rest keeps its content
    protect: PictureLike | None = None  # what stays as it is (white)
    start_from: PictureLike | None = None  # picture to start from, instead of what the settings say
    weights: str | PathLike[str] | None = None  # VGG-19 file to use instead of the fetched one
    max_pixels: int = picture.MAX_PIXELS  # larger input pictures are refused


def stylize(content: PictureLike, style: PictureLike | Sequence[PictureLike], **options: Any) -> Picture:
    """Repaint `content` in the manner of `style` (one, or several that blend).

    Args:
        options: any other field of `Job` (masks, protect, start_from, ...) or of `Settings` (quality, size, ...).

    Raises:
        SettingsError, PictureError, WeightsError: what a user can mend; the message says how.
    """
    styles = [style] if isinstance(style, str | PathLike | Picture) else list(style)
    names = {kind: {f.name for f in dataclasses.fields(kind)} for kind in (Job, Settings)}
    unknown = set(options) - names[Job] - names[Settings]
    if unknown:
        raise SettingsError(f"there is no option {', '.join(sorted(unknown))}")
    inputs = {name: value for name, value in options.items() if name in names[Job]}
    settings = {name: value for name, value in options.items() if name in names[Settings]}
    *_, last = stylizing(Job(content, styles, **inputs), Settings(**settings))
    return last.result()


def stylizing(job: Job, settings: Settings) -> Iterator[Progress]:
    """Do `job`, yielding one `Progress` a step. Closing the generator ends the work; raises what `stylize` does."""
    quality = settings.chosen()
    shares = _shares(job, settings)
    device.configure_threads()
    processor = device.pick_device(settings.device)
    scene = _scene(job, settings, processor)
    eye = _eye(job, settings, quality, scene.whole)
    recipe = _recipe(job, replace(settings, memory=None, tile=eye.tile), quality)

    if settings.strength == 0:  # no optimiser finds its way back to the last bit
        height, width = scene.whole.shape[2:]
        result = partial(_finished, scene, scene.whole, settings.colour, recipe)
        yield Progress(1, 1, 1, 1, 1.0, {}, (width, height), result)
        return

    sides = scale_sides(scene.whole, quality)
    counts = [quality.steps[min(i, len(quality.steps) - 1)] for i in range(len(sides))]
    work = [steps * side**2 for steps, side in zip(counts, sides, strict=True)]
    pixels, momentum = None, None
    for scale, (side, steps) in enumerate(zip(sides, counts, strict=True)):
        target = fit(scene.source, side)
        height, width = target.shape[2:]
        goal = _goal(eye, scene, target, shares, settings, quality)
        pixels = (
            _start(quality.start, scene, target, shares, settings.seed)
            if pixels is None
            else resize(pixels, height, width)
        )
        free = None if scene.kept is None else 1 - resize(scene.kept, height, width)
        if quality.optimiser == "lbfgs":
            run = optimise.lbfgs(pixels, goal, steps, free=free)
        else:
            momentum = momentum.resized(height, width) if momentum else optimise.Momentum.none(pixels)
            run = optimise.adam(pixels, goal, steps, momentum=momentum, free=free, **quality.adam)
        for number, step in enumerate(run, 1):
            pixels = step.picture
            done = (sum(work[:scale]) + work[scale] * number / steps) / sum(work)
            result = partial(_finished, scene, pixels, settings.colour, recipe)
            yield Progress(scale + 1, len(sides), number, steps, done, step.terms, (width, height), result)


@dataclass(frozen=True)
class _Scene:
    """The pictures of a run, at the size of the result."""

    whole: Tensor  # [1, 3, H, W], the content as it is
    source: Tensor  # the same in the colours the optimiser shall see
    samples: list[Tensor]  # the styles, at their own sizes, in the colours the optimiser shall see
    areas: list[Tensor]  # [1, 1, H, W], where each style goes; empty for everywhere
    kept: Tensor | None  # [1, 1, H, W], what stays as it is
    first: Tensor | None  # [1, 3, H, W], the picture to start from
    alpha: Tensor | None


def _shares(job: Job, settings: Settings) -> tuple[float, ...]:
    styles, masks = job.styles, job.masks
    if not styles:
        raise SettingsError("give at least one style picture")
    if masks and len(masks) != len(styles):
        raise SettingsError(f"give one mask per style: there are {len(styles)} styles and {len(masks)} masks")
    if masks and settings.style_weights:
        raise SettingsError("masks place the styles, style weights blend them: give one or the other")
    shares = tuple(settings.style_weights or (1.0,) * len(styles))
    if len(shares) != len(styles) or not all(0 <= s < math.inf for s in shares) or sum(shares) == 0:
        raise SettingsError(f"give {len(styles)} style weights from 0 up, one per style, not all 0")
    return shares


def _scene(job: Job, settings: Settings, processor: torch.device) -> _Scene:
    def opened(given: PictureLike) -> Picture:
        return given if isinstance(given, Picture) else picture.read(given, job.max_pixels)

    photo, samples = opened(job.content), [opened(style).pixels.to(processor) for style in job.styles]
    whole = fit(photo.pixels, settings.size or min(max(photo.pixels.shape[2:]), LONGEST_DEFAULT)).to(processor)
    height, width = whole.shape[2:]
    for name, pixels in (("content", whole), *(("style", s) for s in samples)):
        shorter, longer = sorted(pixels.shape[2:])
        if shorter < SHORTEST_SIDE:
            raise PictureError(
                f"the {name} picture is too narrow at {longer}x{shorter}: {SHORTEST_SIDE} pixels at least"
            )
    areas = [regions.mask(opened(m), height, width).to(processor) for m in job.masks]
    kept = None if job.protect is None else regions.mask(opened(job.protect), height, width).to(processor)
    if areas or kept is not None:
        areas = regions.shared_out(areas or [torch.ones_like(whole[:, :1])], kept)
    first = None if job.start_from is None else resize(opened(job.start_from).pixels, height, width).to(processor)
    alpha = None if photo.alpha is None else resize(photo.alpha, height, width)

    source = whole
    if settings.colour == "luminance":
        source, samples = colour.lightness(whole), [colour.lightness(s) for s in samples]
    elif settings.colour == "histogram":
        samples = [colour.histogram_matched(s, whole) for s in samples]
    elif settings.colour == "covariance":
        samples = [colour.covariance_matched(s, whole) for s in samples]
    return _Scene(whole, source, samples, areas, kept, first, alpha)


def _eye(job: Job, settings: Settings, quality: Quality, whole: Tensor) -> Eye:
    file = None if job.weights is None else Path(job.weights)
    network = registry.load(quality.network, file, quality.padding, settings.pooling).to(whole.device)
    dtype = device.autocast_dtype(whole.device) if quality.precision == "auto" else None
    layers = dict.fromkeys(quality.style_layers, 1.0)
    tile = settings.tile or _tile(quality.network, settings.memory, whole)
    return Eye(network, layers, quality.content_layers, levels=quality.levels, dtype=dtype, tile=tile)


def _tile(network: str, memory: float | None, whole: Tensor) -> int:
    """Side in pixels of the largest tile whose activations fit into memory."""
    on_gpu = whole.device.type == "cuda"
    free = torch.cuda.mem_get_info(whole.device)[0] if on_gpu else device.free_memory()
    budget = min(0.7 * free, DEFAULT_BYTES) if memory is None else min(0.9 * free, memory * 1e9)
    budget -= BYTES_PER_PIXEL["picture"] * whole[0, 0].numel() + FIXED_BYTES
    side = max(SMALLEST_TILE, math.isqrt(max(0, int(budget / BYTES_PER_PIXEL[network]))))
    return min(side, max(SMALLEST_TILE, *whole.shape[2:]))  # the same on every machine that needs no tiles


def scale_sides(whole: Tensor, quality: Quality) -> list[int]:
    """Long sides of the scales, doubling up to that of the result."""
    longer, shorter = max(whole.shape[2:]), min(whole.shape[2:])
    sides = [longer]
    while (
        quality.coarse_to_fine and sides[0] >= 2 * SMALLEST_SCALE and shorter * sides[0] >= 4 * SHORTEST_SIDE * longer
    ):
        sides.insert(0, round(sides[0] / 2))
    return sides


def _goal(
    eye: Eye, scene: _Scene, target: Tensor, shares: tuple[float, ...], settings: Settings, quality: Quality
) -> Goal:
    """What the picture of the size of `target` shall become."""
    height, width = target.shape[2:]
    statistics = [
        eye.statistics(_style_at(sample, max(height, width), settings.style_scale)) for sample in scene.samples
    ]
    areas = [resize(area, height, width) for area in scene.areas]
    if len(areas) == len(statistics) > 1:
        placed = [Region(s, area) for s, area in zip(statistics, areas, strict=True)]
    else:
        placed = [Region(_blend(statistics, shares), areas[0] if areas else None)]
    relative = quality.style_loss != "classic"
    return Goal(
        eye,
        placed,
        eye.contents(target),
        style_loss=losses.STYLE_LOSSES[quality.style_loss],
        relative=relative,
        style_weight=settings.strength * quality.style_weight,
        content_weight=quality.content_weight,
        variation_weight=quality.variation_weight * (1 if relative else target.numel()),  # the classic one is a sum
        variation_power=quality.variation_power,
    )


def _style_at(sample: Tensor, side: int, style_scale: float) -> Tensor:
    """The style picture for a scale of `side` pixels: never enlarged, which would teach the optimiser to blur."""
    longer, shorter = max(sample.shape[2:]), min(sample.shape[2:])
    floor = math.ceil(SHORTEST_SIDE * longer / shorter)
    return fit(sample, min(max(round(side * style_scale), floor), longer))


def _blend(statistics: list[list[Moments]], shares: tuple[float, ...]) -> list[Moments]:
    """One style out of several, at as many reductions as all of them have."""
    return [
        {layer: merge([moments[layer] for moments in level], shares) for layer in level[0]}
        for level in zip(*statistics, strict=False)
    ]


def _start(how: str, scene: _Scene, target: Tensor, shares: tuple[float, ...], seed: int) -> Tensor:
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(seed)).to(target.device)
    if scene.first is not None:
        return resize(scene.first, *target.shape[2:])
    if how == "noise":
        return (0.5 + 0.2 * noise).clamp(0, 1)
    if how == "content":
        return target
    if not scene.areas:
        dressed = [s * colour.covariance_matched(target, x) for s, x in zip(shares, scene.samples, strict=True)]
        target = torch.stack(dressed).sum(0) / sum(shares)
    return (target + 0.02 * noise).clamp(0, 1)  # something for strokes to grow from where the content is flat


def _finished(scene: _Scene, pixels: Tensor, colours: str, recipe: dict[str, Any]) -> Picture:
    pixels = resize(pixels, *scene.whole.shape[2:])
    if colours == "luminance":
        pixels = colour.with_colours_of(pixels, scene.whole)
    if scene.kept is not None:
        pixels = scene.kept * scene.whole + (1 - scene.kept) * pixels
    return Picture(pixels.cpu(), scene.alpha, recipe)


def _recipe(job: Job, settings: Settings, quality: Quality) -> dict[str, Any]:
    roles = {f"mask {i}": m for i, m in enumerate(job.masks, 1)}
    roles |= {role: p for role, p in (("protect", job.protect), ("start", job.start_from)) if p is not None}
    used = provenance.sha256(job.weights) if job.weights else weights.sha256_of(quality.network)
    return provenance.make_recipe(
        _source(job.content),
        [_source(style) for style in job.styles],
        {name: value for name, value in dataclasses.asdict(settings).items() if value is not None},
        {quality.network: used},
        {role: _source(p) for role, p in roles.items()},
    )


def _source(given: PictureLike) -> dict[str, str]:
    """Name and hash of a file; a picture from memory has no name, and the hash of its pixels."""
    if not isinstance(given, Picture):
        return provenance.source(given)
    return {"name": "", "sha256": hashlib.sha256(given.pixels.cpu().contiguous().numpy().tobytes()).hexdigest()}
