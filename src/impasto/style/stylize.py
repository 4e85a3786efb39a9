"""The one entry to style transfer of pictures: picks the quality, joins the parts, gives a Picture back.

import impasto
impasto.stylize("photo.jpg", "painting.jpg", size=768).save("out.png")
"""

import dataclasses
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
from impasto.configs import check
from impasto.errors import PictureError, SettingsError
from impasto.perception import registry
from impasto.picture import SHORTEST_SIDE, Picture, fit, resize
from impasto.style import colour, draft, losses, optimise, regions
from impasto.style.objective import Eye, Goal, Moments, Region, total, within
from impasto.style.sample import EXTENSION, Sample, check_wide, painting
from impasto.style.sample import load as load_sample
from impasto.style.settings import DEFAULT_MEMORY, MaxPixels, Quality, Settings
from impasto.style.statistics import measure
from impasto.style.transport import monge

PictureLike = str | PathLike[str] | Picture

LONGEST_DEFAULT = 1024  # pixels; what nobody asked for should not take minutes
SMALLEST_SCALE = 96  # pixels on the long side; below it a picture is colours, not forms
SMALLEST_TILE = 256  # pixels; smaller ones would be mostly halo

# Peak memory of one gradient, measured: activations per pixel of a tile, and what the optimiser keeps per pixel of
# the picture. benchmarks/style_memory.py checks the sum.
BYTES_PER_PIXEL = {"compact": 1800, "vgg16": 4200, "vgg19": 4200, "anystyle": 520, "picture": 215}
FIXED_BYTES = 500_000_000  # PyTorch itself, weights, statistics


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
    init_from: PictureLike | None = None  # picture to start from, instead of what the settings say
    weights: str | PathLike[str] | None = None  # file to use instead of the quality's own network
    max_pixels: MaxPixels = picture.MAX_PIXELS  # larger input pictures are refused

    def __post_init__(self) -> None:
        check(self)


def stylize(content: PictureLike, style: PictureLike | Sequence[PictureLike], **options: Any) -> Picture:
    """Repaint `content` in the manner of `style` (one, or several that blend).

    Args:
        options: any other field of `Job` (masks, protect, init_from, ...) or of `Settings` (quality, size, ...).

    Raises:
        SettingsError, PictureError, WeightsError: what a user can mend; the message says how.
    """
    styles = _several(style)
    names = {kind: {f.name for f in dataclasses.fields(kind)} for kind in (Job, Settings)}
    unknown = set(options) - names[Job] - names[Settings]
    if unknown:
        raise SettingsError(f"there is no option {', '.join(sorted(unknown))}")
    inputs = {name: value for name, value in options.items() if name in names[Job]}
    if "masks" in inputs:
        inputs["masks"] = _several(inputs["masks"])
    settings = {name: value for name, value in options.items() if name in names[Settings]}
    *_, last = stylizing(Job(content, styles, **inputs), Settings(**settings))
    return last.result()


def _several(pictures: PictureLike | Sequence[PictureLike]) -> list[PictureLike]:
    return [pictures] if isinstance(pictures, str | PathLike | Picture) else list(pictures)


def stylizing(job: Job, settings: Settings) -> Iterator[Progress]:
    """Do `job`, yielding one `Progress` a step. Closing the generator ends the work; raises what `stylize` does."""
    quality = settings.chosen()
    shares = _shares(job, settings)
    device.configure_threads()
    processor = device.pick_device(settings.device)
    scene = _scene(job, settings, processor)
    tile = settings.tile or tile_for(quality.network, settings.memory, scene.whole)
    recipe = _recipe(job, replace(settings, memory=None, tile=tile), quality)
    start = partial(_start, quality, scene, shares, settings, tile, None if quality.steps else job.weights)

    if settings.strength == 0 or not quality.steps:  # no optimiser finds its way back from style to the last bit
        height, width = scene.whole.shape[2:]
        only = scene.whole if settings.strength == 0 else start(scene.source)
        result = partial(_finished, scene, only, settings.colour, recipe)
        yield Progress(1, 1, 1, 1, 1.0, {}, (width, height), result)
        return

    eye = eye_for(settings, quality, scene.whole, tile, job.weights)
    scaled = [fit(scene.source, side) for side in scale_sides(scene.whole, quality)]
    targets = {(target.shape[2], target.shape[3]): target for target in scaled}

    def goal(height: int, width: int) -> Goal:
        return _goal(eye, scene, targets[height, width], shares, settings, quality)

    def begin(height: int, width: int, before: Tensor | None) -> Tensor:
        return start(targets[height, width]) if before is None else resize(before, height, width)

    free = None if scene.kept is None else 1 - scene.kept
    counts = steps_at(quality, len(targets))
    for stage in optimise.coarse_to_fine(
        list(targets), counts, goal, begin, optimiser=quality.optimiser, free=free, **quality.adam
    ):
        pixels = stage.now.picture
        size = (pixels.shape[3], pixels.shape[2])
        result = partial(_finished, scene, pixels, settings.colour, recipe)
        yield Progress(stage.scale, len(targets), stage.step, stage.steps, stage.done, stage.now.terms, size, result)


@dataclass(frozen=True)
class _Scene:
    """The pictures of a run, at the size of the result."""

    whole: Tensor  # [1, 3, H, W], the content as it is
    visible: Tensor | None  # [1, 1, H, W], how much each pixel of it counts; None where all do
    source: Tensor  # [1, 3, H, W], the content without transparency, in the colours the optimiser shall see
    samples: list[Sample]  # the styles, in the colours the optimiser shall see
    areas: list[Tensor]  # [1, 1, H, W], where each style goes; empty for everywhere
    kept: Tensor | None  # [1, 1, H, W], what stays as it is
    first: Tensor | None  # [1, 3, H, W], the picture to start from
    alpha: Tensor | None
    dpi: float | None  # of the content


def _shares(job: Job, settings: Settings) -> tuple[float, ...]:
    styles, masks = job.styles, job.masks
    if masks and len(masks) != len(styles):
        raise SettingsError(f"give one mask per style: there are {len(styles)} styles and {len(masks)} masks")
    if masks and settings.style_weights:
        raise SettingsError("masks place the styles, style weights blend them: give one or the other")
    return shares_of(len(styles), settings.style_weights)


def shares_of(styles: int, style_weights: tuple[float, ...] | None) -> tuple[float, ...]:
    """The share of each of so many styles: equal ones, or as the weights say.

    Raises:
        SettingsError: no styles, or weights that are not theirs.
    """
    if not styles:
        raise SettingsError("give at least one style picture")
    shares = tuple(style_weights or (1.0,) * styles)
    if len(shares) != styles or not all(0 <= s < math.inf for s in shares) or sum(shares) == 0:
        raise SettingsError(f"give {styles} style weights from 0 up, one per style, not all 0")
    return shares


def _scene(job: Job, settings: Settings, processor: torch.device) -> _Scene:
    def opened(given: PictureLike) -> Picture:
        return given if isinstance(given, Picture) else picture.read(given, job.max_pixels)

    photo = opened(job.content)
    photo = photo.fitted(settings.size or min(max(photo.pixels.shape[2:]), LONGEST_DEFAULT))
    whole, visible = photo.pixels.to(processor), regions.visible(photo.alpha)
    if visible is not None:
        if visible.mean() < regions.NOTHING:
            raise PictureError("the content picture is wholly transparent, or nearly so: there is nothing to paint")
        visible = visible.to(processor)
    height, width = whole.shape[2:]
    check_wide("content", whole)
    areas = [regions.mask(opened(m), height, width).to(processor) for m in job.masks]
    kept = None if job.protect is None else regions.mask(opened(job.protect), height, width).to(processor)
    if areas or kept is not None:
        areas = regions.shared_out(areas or [torch.ones_like(whole[:, :1])], kept, visible)
    source = regions.opaque(whole, visible)
    first = None if job.init_from is None else _laid_on(source, opened(job.init_from))
    source = colour.lightness(source) if settings.colour == "luminance" else source
    samples = [sample_of(style, settings, whole, job.max_pixels, visible) for style in job.styles]
    return _Scene(whole, visible, source, samples, areas, kept, first, photo.alpha, photo.dpi)


def _laid_on(ground: Tensor, given: Picture) -> Tensor:
    """The picture, at the size of `ground` [1, 3, H, W], with the ground where it is transparent."""
    given = given.resized(ground.shape[2], ground.shape[3])
    pixels = given.pixels.to(ground)
    return pixels if given.alpha is None else torch.lerp(ground, pixels, given.alpha.to(ground))


def sample_of(
    style: PictureLike,
    settings: Settings,
    whole: Tensor,
    max_pixels: int = picture.MAX_PIXELS,
    visible: Tensor | None = None,
) -> Sample:
    """A style, in the colours that the settings want for the content `whole` [1, 3, H, W].

    Args:
        visible: [1, 1, H, W], how much each pixel of the content counts.

    Raises:
        PictureError, SettingsError: it cannot be read, shows too little, or is a saved style, whose colours stay.
    """
    if not isinstance(style, Picture) and Path(style).suffix.lower() == EXTENSION:
        if settings.colour != "style":
            raise SettingsError(f"a saved style keeps its colours: leave out colour {settings.colour}")
        return load_sample(style, whole.device)
    given = style if isinstance(style, Picture) else picture.read(style, max_pixels)
    sample = painting(given, settings.style_scale)
    pixels, weight = sample.pixels.to(whole.device), sample.visible
    weight = None if weight is None else weight.to(whole.device)
    if settings.colour == "luminance":
        pixels = colour.lightness(pixels)
    elif settings.colour == "histogram":
        pixels = colour.histogram_matched(pixels, whole, weight, visible)
    elif settings.colour == "covariance":
        pixels = colour.covariance_matched(pixels, whole, weight, visible)
    return replace(sample, pixels=pixels, visible=weight)


def eye_for(
    settings: Settings, quality: Quality, whole: Tensor, tile: int, weights_file: str | PathLike[str] | None = None
) -> Eye:
    """The network of `quality`, and how it looks at pictures of the size of `whole` [1, 3, H, W]."""
    file = None if weights_file is None else Path(weights_file)
    network = registry.load(quality.network, file, quality.padding, settings.pooling).to(whole.device)
    layers = dict.fromkeys(quality.style_layers, 1.0)
    return Eye(
        network, layers, quality.content_layers, levels=quality.levels, dtype=dtype_for(quality, whole), tile=tile
    )


def dtype_for(quality: Quality, picture: Tensor) -> torch.dtype | None:
    return device.autocast_dtype(picture.device) if quality.precision == "auto" else None


def tile_for(network: str, memory: float | None, whole: Tensor) -> int:
    """Side in pixels of the largest tile whose activations fit into memory."""
    on_gpu = whole.device.type == "cuda"
    free = torch.cuda.mem_get_info(whole.device)[0] if on_gpu else device.free_memory()
    budget = min(0.7 * free, DEFAULT_MEMORY * 1e9) if memory is None else min(0.9 * free, memory * 1e9)
    budget -= BYTES_PER_PIXEL["picture"] * whole[0, 0].numel() + FIXED_BYTES
    side = max(SMALLEST_TILE, math.isqrt(max(0, int(budget / BYTES_PER_PIXEL[network]))))
    return min(side, max(SMALLEST_TILE, *whole.shape[2:]))  # the same on every machine that needs no tiles


def scale_sides(whole: Tensor, quality: Quality) -> list[int]:
    """Long sides of the scales, doubling up to that of the result."""
    longer, shorter = max(whole.shape[2:]), min(whole.shape[2:])
    sides = [longer]
    if quality.coarse_to_fine:
        while sides[0] >= 2 * SMALLEST_SCALE and shorter * sides[0] >= 4 * SHORTEST_SIDE * longer:
            sides.insert(0, round(sides[0] / 2))
    return sides


def steps_at(quality: Quality, scales: int) -> list[int]:
    """Steps at each of so many scales, the smallest first."""
    return [quality.steps[min(i, len(quality.steps) - 1)] for i in reversed(range(scales))]


def _goal(
    eye: Eye, scene: _Scene, target: Tensor, shares: tuple[float, ...], settings: Settings, quality: Quality
) -> Goal:
    """What the picture of the size of `target` shall become."""
    height, width = target.shape[2:]
    sides = max(height, width), max(scene.whole.shape[2:])
    statistics = [sample.levels(eye, *sides) for sample in scene.samples]
    areas = [resize(area, height, width) for area in scene.areas]
    if len(areas) == len(statistics) > 1:
        placed = [Region(s, area) for s, area in zip(statistics, areas, strict=True)]
    else:
        placed = [Region(blend(statistics, shares), areas[0] if areas else None)]
    visible = None if scene.visible is None else resize(scene.visible, height, width)
    return goal_for(eye, placed, target, settings, quality, visible)


def goal_for(
    eye: Eye,
    regions: list[Region],
    target: Tensor,
    settings: Settings,
    quality: Quality,
    visible: Tensor | None = None,
) -> Goal:
    """How a picture is judged that shall have the styles of `regions` and the content of `target`, and its size.

    Args:
        visible: [1, 1, H, W], how much each pixel counts; all do by default.
    """
    relative = quality.style_loss != "classic"
    values = target.numel() if visible is None else 3 * visible.sum().item()
    return Goal(
        eye,
        regions,
        eye.contents(target),
        style_loss=losses.STYLE_LOSSES[quality.style_loss],
        relative=relative,
        style_weight=settings.strength * quality.style_weight,
        content_weight=quality.content_weight,
        variation_weight=quality.variation_weight * (1 if relative else values),  # the classic one is a sum
        variation_power=quality.variation_power,
        visible=visible,
    )


def blend(statistics: list[list[Moments]], shares: tuple[float, ...]) -> list[Moments]:
    """One style out of several, at as many reductions as all of them have."""
    return [total(level, shares) for level in zip(*statistics, strict=False)]


def _start(
    quality: Quality,
    scene: _Scene,
    shares: tuple[float, ...],
    settings: Settings,
    tile: int,
    weights_file: str | PathLike[str] | None,
    target: Tensor,
) -> Tensor:
    """The picture of the size of `target` that the optimiser starts from."""
    height, width = target.shape[2:]
    visible = None if scene.visible is None else resize(scene.visible, height, width)
    if scene.first is not None:
        return resize(scene.first, height, width)
    if quality.init == "content":
        return target
    if quality.init == "draft":
        model = draft.load(None if weights_file is None else Path(weights_file)).to(target.device)
        dtype = dtype_for(quality, target)
        sides = max(height, width), max(scene.whole.shape[2:])
        styles = [sample.drafted(model, *sides, dtype, tile) for sample in scene.samples]
        canvas = draft.Canvas(model, target, dtype, tile)
        areas: list[Tensor | None] = [resize(area, height, width) for area in scene.areas] or [None]
        if len(areas) != len(styles):
            styles = [total(styles, shares)]
        moves = [
            draft.maps(canvas.moments(within(area, visible)), style, settings.strength)
            for area, style in zip(areas, styles, strict=True)
        ]
        return canvas.painted(list(zip(moves, areas, strict=True)), settings.strength)
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(settings.seed)).to(target.device)
    if quality.init == "noise":
        return (0.5 + 0.2 * noise).clamp(0, 1)
    if not scene.areas:
        own = measure(target, visible)
        dressed = [s * monge(own, x.colours)(target).clamp(0, 1) for s, x in zip(shares, scene.samples, strict=True)]
        target = torch.stack(dressed).sum(0) / sum(shares)
    return (target + 0.02 * noise).clamp(0, 1)  # something for strokes to grow from where the content is flat


def _finished(scene: _Scene, pixels: Tensor, colours: str, recipe: dict[str, Any]) -> Picture:
    pixels = resize(pixels, *scene.whole.shape[2:])
    if colours == "luminance":
        pixels = colour.with_colours_of(pixels, scene.whole)
    if scene.kept is not None:
        pixels = scene.kept * scene.whole + (1 - scene.kept) * pixels
    return Picture(pixels.cpu(), scene.alpha, recipe, scene.dpi)


def _recipe(job: Job, settings: Settings, quality: Quality) -> dict[str, Any]:
    roles = {f"mask {i}": m for i, m in enumerate(job.masks, 1)}
    roles |= {role: p for role, p in (("protect", job.protect), ("init", job.init_from)) if p is not None}
    used = {quality.network: provenance.sha256(job.weights) if job.weights else weights.sha256_of(quality.network)}
    for name in ("anystyle", "compact") if quality.init == "draft" else ():
        used.setdefault(name, weights.sha256_of(name))
    return provenance.make_recipe(
        source(job.content),
        [source(style) for style in job.styles],
        {name: value for name, value in dataclasses.asdict(settings).items() if value is not None},
        used,
        {role: source(p) for role, p in roles.items()},
    )


def source(given: PictureLike) -> dict[str, str]:
    """Name and hash of a file for a recipe; a picture from memory has no name, and the hash of its pixels."""
    if not isinstance(given, Picture):
        return provenance.source(given)
    return provenance.unnamed(given.pixels.cpu().numpy().tobytes())
