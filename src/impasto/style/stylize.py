"""The one entry to style transfer of pictures: picks the quality, joins the parts, gives a Picture back.

import impasto
impasto.stylize("photo.jpg", "painting.jpg", size=768).save("out.png")
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec

import torch
from torch import Tensor

from impasto import device, provenance, weights
from impasto.configs import check
from impasto.device import release_memory  # where `device` is the name of one
from impasto.errors import PictureError, SettingsError
from impasto.media.formats import MAX_PIXELS
from impasto.media.picture import Picture, PictureLike, fit, opened, resize
from impasto.style import colour, draft, optimise, regions
from impasto.style.objective import (
    Extractor,
    Objective,
    dtype_for,
    extractor_for,
    objective_for,
)
from impasto.style.optimise import scale_sides, steps_at
from impasto.style.recipe import source
from impasto.style.settings import LONGEST_DEFAULT, MaxPixels, Method, Settings, shares_of
from impasto.style.source import Style, check_wide, region_of, style_of
from impasto.style.tiles import tile_for

P = ParamSpec("P")


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
        """The sum of the terms."""
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
    max_pixels: MaxPixels = MAX_PIXELS  # larger input pictures are refused

    def __post_init__(self) -> None:
        check(self)


def stylizing(
    content: PictureLike,
    style: PictureLike | Sequence[PictureLike],
    *,
    masks: PictureLike | Sequence[PictureLike] = (),
    protect: PictureLike | None = None,
    init_from: PictureLike | None = None,
    weights: str | PathLike[str] | None = None,
    max_pixels: int = MAX_PIXELS,
    quality: str = Settings.quality,
    size: int | None = Settings.size,
    strength: float = Settings.strength,
    style_scale: float = Settings.style_scale,
    style_weights: Sequence[float] | None = Settings.style_weights,
    colour: str = Settings.colour,
    init: str | None = Settings.init,
    seed: int = Settings.seed,
    network: str | None = Settings.network,
    style_layers: Sequence[str] | None = Settings.style_layers,
    content_layers: Sequence[str] | None = Settings.content_layers,
    style_loss: str | None = Settings.style_loss,
    freedom: float | None = Settings.freedom,
    content_weight: float | None = Settings.content_weight,
    variation_weight: float | None = Settings.variation_weight,
    optimiser: str | None = Settings.optimiser,
    steps: int | None = Settings.steps,
    pooling: str = Settings.pooling,
    precision: str | None = Settings.precision,
    memory: float | None = Settings.memory,
    tile: int | None = Settings.tile,
    device: str = Settings.device,
) -> Iterator[Progress]:
    """Repaint `content` in the manner of `style`, yielding a `Progress` a step. Closing the generator ends the work.

    Where a setting is None, the quality has its own. `Settings` has the range of each.

    Args:
        content: a path, or a `Picture`.
        style: one, or several that blend; also a saved `.style` file.
        masks: where each style goes (white), one for each; the rest keeps its content.
        protect: what stays as it is (white).
        init_from: the picture to start from.
        weights: a file to use instead of the network that the quality has.
        max_pixels: larger input pictures are refused.
        quality: how much work: "draft" (one pass), "fine", "gallery" (VGG, minutes), or "gatys" (the classic recipe).
        size: long side in pixels; by default the content's own, at most 1024.
        strength: how hard the style presses; 0 gives the content back.
        style_scale: brush size; 2 is twice as broad.
        style_weights: share of a style where several blend, one for each, of any sum.
        colour: the style's colours, or in one of three ways the content's: "luminance", "histogram", "covariance".
        init: where the optimiser starts: "content", "noise" or "draft".
        seed: of the noise that the optimiser starts with.
        network: network that gives the features: "compact" (bundled), "vgg16" or "vgg19" (fetched once).
        style_layers: layers that style is measured in.
        content_layers: layers that content is measured in.
        style_loss: how styles are compared: "gram", "moments" or "wasserstein".
        freedom: from 0, true to the photograph, to 1, free.
        content_weight: weight of the content loss.
        variation_weight: weight of the total variation; more is smoother.
        optimiser: optimiser of the pixels: "adam" or "lbfgs".
        steps: steps at full size; those of smaller sizes keep their proportion.
        pooling: how a VGG halves its features: "max" or "average".
        precision: auto computes in bfloat16 where the processor is quick at it; or "float32".
        memory: GB of memory to use at most.
        tile: side of the tiles in pixels.
        device: cpu, cuda, cuda:1, mps, or auto for the fastest.

    Raises:
        SettingsError, PictureError, WeightsError: what a user can mend; the message says how.

    Examples:
        >>> impasto.stylize("photo.jpg", "painting.jpg", quality="draft", size=64)
        <Picture of 64 x 43 pixels>
        >>> for progress in impasto.stylizing("photo.jpg", "painting.jpg", size=32, steps=2):
        ...     print(f"{progress.scale} of {progress.scales}, step {progress.step} of {progress.steps}")
        1 of 1, step 1 of 2
        1 of 1, step 2 of 2
        >>> progress.result().save("out.png")
    """
    given = locals()
    job = {field.name: given[field.name] for field in dataclasses.fields(Job) if field.name in given}
    job |= {"styles": _several(style), "masks": _several(masks)}
    settings = Settings(**{field.name: given[field.name] for field in dataclasses.fields(Settings)})
    try:
        yield from running(Job(**job), settings)
    finally:
        release_memory()


def _last(steps: Callable[P, Iterator[Progress]]) -> Callable[P, Picture]:
    """The function that takes all `steps` at once, with the same signature."""

    @wraps(steps)
    def last(*args: P.args, **options: P.kwargs) -> Picture:
        *_, final = steps(*args, **options)
        return final.result()

    last.__name__ = last.__qualname__ = "stylize"
    last.__doc__ = (steps.__doc__ or "").replace(STEPWISE, "")
    last.__signature__ = inspect.signature(steps).replace(return_annotation=Picture)  # type: ignore[attr-defined]
    return last


STEPWISE = ", yielding a `Progress` a step. Closing the generator ends the work"
stylize = _last(stylizing)


def _several(pictures: PictureLike | Sequence[PictureLike]) -> list[PictureLike]:
    return [pictures] if isinstance(pictures, str | PathLike | Picture) else list(pictures)


def running(job: Job, settings: Settings) -> Iterator[Progress]:
    """Do `job`, yielding one `Progress` a step. Closing the generator ends the work; raises what `stylize` does."""
    method = settings.resolved()
    shares = _shares(job, method)
    device.configure_cpu()
    processor = device.pick_device(method.device)
    scene = _scene(job, method, processor)
    if not all(style.has_points for style in scene.styles):
        method = settings.resolved(matched=False)
    tile = method.tile or tile_for(method.network, method.memory, scene.whole)
    recipe = _recipe(job, replace(settings, memory=None, tile=tile), method)
    start = partial(_start, method, scene, shares, tile, None if method.steps else job.weights)

    if method.strength == 0 or not method.steps:  # no optimiser finds its way back from style to the last bit
        height, width = scene.whole.shape[2:]
        only = scene.whole if method.strength == 0 else start(scene.source)
        result = partial(_finished, scene, only, method.colour, recipe)
        yield Progress(1, 1, 1, 1, 1.0, {}, (width, height), result)
        return

    extractor = extractor_for(method, scene.whole, tile, job.weights)
    scaled = [fit(scene.source, side) for side in scale_sides(scene.whole, method)]
    targets = {(target.shape[2], target.shape[3]): target for target in scaled}

    def objective(height: int, width: int) -> Objective:
        return _objective(extractor, scene, targets[height, width], shares, method)

    def begin(height: int, width: int, before: Tensor | None) -> Tensor:
        return start(targets[height, width]) if before is None else resize(before, height, width)

    free = None if scene.protected is None else 1 - scene.protected
    counts = steps_at(method, len(targets))
    for stage in optimise.coarse_to_fine(
        list(targets), counts, objective, begin, optimiser=method.optimiser, free=free, **method.adam
    ):
        pixels = stage.now.picture
        size = (pixels.shape[3], pixels.shape[2])
        result = partial(_finished, scene, pixels, method.colour, recipe)
        yield Progress(stage.scale, len(targets), stage.step, stage.steps, stage.done, stage.now.terms, size, result)


@dataclass(frozen=True)
class _Scene:
    """The pictures of a run, at the size of the result."""

    whole: Tensor  # [1, 3, H, W], the content as it is
    visible: Tensor | None  # [1, 1, H, W], how much each pixel of it counts; None where all do
    source: Tensor  # [1, 3, H, W], the content without transparency, in the colours the optimiser shall see
    styles: list[Style]  # the styles, in the colours the optimiser shall see
    areas: list[Tensor]  # [1, 1, H, W], where each style goes; empty for everywhere
    protected: Tensor | None  # [1, 1, H, W], what stays as it is
    init: Tensor | None  # [1, 3, H, W], the picture to start from
    alpha: Tensor | None
    dpi: float | None  # of the content


def _shares(job: Job, method: Method) -> tuple[float, ...]:
    styles, masks = job.styles, job.masks
    if masks and len(masks) != len(styles):
        raise SettingsError(f"give one mask per style: there are {len(styles)} styles and {len(masks)} masks")
    if masks and method.style_weights:
        raise SettingsError("masks place the styles, style weights blend them: give one or the other")
    return shares_of(len(styles), method.style_weights)


def _scene(job: Job, method: Method, processor: torch.device) -> _Scene:
    photo = opened(job.content, job.max_pixels)
    photo = photo.fitted(method.size or min(max(photo.pixels.shape[2:]), LONGEST_DEFAULT))
    whole, visible = photo.pixels.to(processor), regions.visible(photo.alpha)
    if visible is not None:
        if visible.mean() < regions.NOTHING:
            raise PictureError("the content picture is wholly transparent, or nearly so: there is nothing to paint")
        visible = visible.to(processor)
    height, width = whole.shape[2:]
    check_wide("content", whole)
    areas = [regions.mask(opened(m, job.max_pixels), height, width).to(processor) for m in job.masks]
    protected = (
        None if job.protect is None else regions.mask(opened(job.protect, job.max_pixels), height, width).to(processor)
    )
    if areas or protected is not None:
        areas = regions.shared_out(areas or [torch.ones_like(whole[:, :1])], protected, visible)
    source = regions.opaque(whole, visible)
    init = None if job.init_from is None else _laid_on(source, opened(job.init_from, job.max_pixels))
    source = colour.lightness(source) if method.colour == "luminance" else source
    styles = [
        style_of(style, method, whole, job.max_pixels, visible).reduced(max(height, width)) for style in job.styles
    ]
    return _Scene(whole, visible, source, styles, areas, protected, init, photo.alpha, photo.dpi)


def _laid_on(ground: Tensor, given: Picture) -> Tensor:
    """The picture, at the size of `ground` [1, 3, H, W], with the ground where it is transparent."""
    given = given.resized(ground.shape[2], ground.shape[3])
    pixels = given.pixels.to(ground)
    return pixels if given.alpha is None else torch.lerp(ground, pixels, given.alpha.to(ground))


def _objective(
    extractor: Extractor, scene: _Scene, target: Tensor, shares: tuple[float, ...], method: Method
) -> Objective:
    """What the picture of the size of `target` shall become."""
    height, width = target.shape[2:]
    sides = max(height, width), max(scene.whole.shape[2:])
    areas = [resize(area, height, width) for area in scene.areas]
    if len(areas) == len(scene.styles) > 1:
        placed = [
            region_of([style], (1.0,), extractor, *sides, area) for style, area in zip(scene.styles, areas, strict=True)
        ]
    else:
        placed = [region_of(scene.styles, shares, extractor, *sides, areas[0] if areas else None)]
    visible = None if scene.visible is None else resize(scene.visible, height, width)
    return objective_for(extractor, placed, target, method, visible)


def _start(
    method: Method,
    scene: _Scene,
    shares: tuple[float, ...],
    tile: int,
    weights_file: str | PathLike[str] | None,
    target: Tensor,
) -> Tensor:
    """The picture of the size of `target` that the optimiser starts from."""
    height, width = target.shape[2:]
    visible = None if scene.visible is None else resize(scene.visible, height, width)
    if scene.init is not None:
        return resize(scene.init, height, width)
    if method.init == "content":
        return target
    if method.init == "draft":
        model = draft.load(None if weights_file is None else Path(weights_file)).to(target.device)
        dtype = dtype_for(method, target)
        sides = max(height, width), max(scene.whole.shape[2:])
        styles = [style.drafted(model, *sides, dtype, tile) for style in scene.styles]
        areas: list[Tensor | None] = [resize(area, height, width) for area in scene.areas] or [None]
        if len(areas) == len(styles):
            placed = [
                draft.region_of([style], mask=area, dtype=dtype) for style, area in zip(styles, areas, strict=True)
            ]
        else:
            placed = [draft.region_of(styles, shares, areas[0], dtype)]
        return draft.Canvas(model, target, dtype, tile, visible).painted(placed, method.strength, method.freedom)
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(method.seed)).to(target.device)
    return (0.5 + 0.2 * noise).clamp(0, 1)


def _finished(scene: _Scene, pixels: Tensor, colours: str, recipe: dict[str, Any]) -> Picture:
    pixels = resize(pixels, *scene.whole.shape[2:])
    if colours == "luminance":
        pixels = colour.with_colours_of(pixels, scene.whole)
    if scene.protected is not None:
        pixels = scene.protected * scene.whole + (1 - scene.protected) * pixels
    return Picture(pixels.cpu(), scene.alpha, recipe, scene.dpi)


def _recipe(job: Job, settings: Settings, method: Method) -> dict[str, Any]:
    roles = {f"mask {i}": m for i, m in enumerate(job.masks, 1)}
    roles |= {role: p for role, p in (("protect", job.protect), ("init", job.init_from)) if p is not None}
    used = {method.network: provenance.sha256(job.weights) if job.weights else weights.sha256_of(method.network)}
    for name in ("anystyle", "compact") if method.init == "draft" else ():
        used.setdefault(name, weights.sha256_of(name))
    return provenance.make_recipe(
        source(job.content),
        [source(style) for style in job.styles],
        {name: value for name, value in dataclasses.asdict(settings).items() if value is not None},
        used,
        {role: source(p) for role, p in roles.items()},
    )
