"""A style as the engine meets it: a picture, or the statistics of one, saved to be used without it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import ClassVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from impasto import provenance, weights
from impasto.errors import PictureError, SettingsError
from impasto.files import absent, check_place, replacing
from impasto.gaussian import PARTS, Moments, as_tensors, measure
from impasto.media.formats import MAX_PIXELS
from impasto.media.picture import SHORTEST_SIDE, Picture, PictureLike, fit, opened
from impasto.perception import registry
from impasto.perception.compact import TAPS, Compact
from impasto.style import colour
from impasto.style.anystyle import LAYERS, LEVELS, SMALLEST, AnyStyle, flat
from impasto.style.cloud import PIXELS, Points, cloud_of
from impasto.style.draft import Canvas, Seen
from impasto.style.objective import Extractor, LayerMoments, Region, blend
from impasto.style.regions import opaque, visible
from impasto.style.settings import Method

EXTENSION = ".style"
FORMAT = "impasto style 1"
FAINT = 0.01  # mean alpha, within the frame of what can be seen, below which a picture shows no style
LARGEST = 1024  # pixels: long side of the picture whose statistics are saved where nobody says another
SCAN = 2048  # pixels: long side that any style picture keeps


@dataclass(frozen=True)
class StyleImage:
    """A style picture [1, 3, H, W], how much each of its pixels counts, and how broad its brush is in the result."""

    pixels: Tensor
    scale: float = 1.0  # long side of the style picture over that of the result
    visible: Tensor | None = None  # [1, 1, H, W] in [0, 1]; None: all pixels count

    has_points: ClassVar[bool] = True  # to match places to

    @property
    def colours(self) -> Moments:
        return measure(self.pixels, self.visible)

    def at(self, side: int) -> tuple[Tensor, Tensor | None]:
        """`pixels` and `visible` for a result of `side` pixels.

        They are never enlarged, which would teach the optimiser to blur.
        """
        longer, shorter = max(self.pixels.shape[2:]), min(self.pixels.shape[2:])
        floor = math.ceil(SHORTEST_SIDE * longer / shorter)
        return self.fitted(min(max(round(side * self.scale), floor), longer))

    def fitted(self, side: int) -> tuple[Tensor, Tensor | None]:
        """`pixels` and `visible` with a long side of `side` pixels."""
        return fit(self.pixels, side), None if self.visible is None else fit(self.visible, side)

    def reduced(self, whole: int) -> "StyleImage":
        """No larger than a result of `whole` pixels needs it: a museum's scan takes a gigabyte, and there may be 8."""
        enough = max(SCAN, round(2 * whole * self.scale))
        if max(self.pixels.shape[2:]) <= enough:
            return self
        pixels, visible = self.fitted(enough)
        return replace(self, pixels=pixels, visible=visible)

    def levels(self, extractor: Extractor, side: int, whole: int) -> list[LayerMoments]:
        """What the optimiser aims at, when it paints at `side` pixels what will have `whole` at last."""
        return extractor.statistics(*self.at(side))

    def points(self, extractor: Extractor, side: int, whole: int) -> Points | None:
        """The places that those of the result shall look like, with the same arguments as `levels`."""
        return extractor.points(*self.at(side)) if extractor.match_layers else None

    def drafted(self, model: AnyStyle, side: int, whole: int, dtype: torch.dtype | None, tile: int) -> Seen:
        """What the any-style network needs."""
        pixels, visible = self.shown(side, whole)
        return Canvas(model, pixels, dtype, tile, visible).seen()

    def shown(self, side: int, whole: int) -> tuple[Tensor, Tensor | None]:
        """The picture that points are of, with the same arguments, and how much each of its pixels counts."""
        return self.at(side)


@dataclass(frozen=True)
class SavedStyle:
    """The statistics of a style picture and of its reductions by 2, 4, ...: the brush is as broad as when it was saved.

    They are what the compact network sees, so they serve the qualities that look through it. Its pixels give points.
    """

    octaves: list[LayerMoments]
    colours: Moments
    image: StyleImage | None = None  # as it was measured; None in files of version 0.2

    @property
    def has_points(self) -> bool:
        """Whether there are points to match places to."""
        return self.image is not None

    def reduced(self, whole: int) -> "SavedStyle":
        """As it is: it is small."""
        return self

    def levels(self, extractor: Extractor, side: int, whole: int) -> list[LayerMoments]:
        """As of a painting. At half the size of the whole the first reduction is the picture, and so on."""
        if not isinstance(extractor.network, Compact) or not set(extractor.style_layers) <= set(LAYERS):
            raise SettingsError("a saved style is for the compact network and its layers; give the picture instead")
        return [
            {name: self._octave(i, side, whole)[name] for name in extractor.style_layers}
            for i in range(extractor.levels)
        ]

    def points(self, extractor: Extractor, side: int, whole: int) -> Points | None:
        """As of a painting."""
        if self.image is None or not extractor.match_layers:
            return None
        return extractor.points(*self.shown(side, whole))

    def drafted(self, model: AnyStyle, side: int, whole: int, dtype: torch.dtype | None, tile: int) -> Seen:
        """As of a painting; the statistics alone where there are no pixels."""
        if self.image is not None:
            pixels, visible = self.shown(side, whole)
            return Canvas(model, pixels, dtype, tile, visible).seen()
        levels = [self._octave(level, side, whole) for level in range(max(LEVELS) + 1)]
        return Seen({PIXELS: self.colours, **flat(levels)})

    def shown(self, side: int, whole: int) -> tuple[Tensor, Tensor | None]:
        """As of a painting."""
        assert self.image is not None
        longest = max(self.image.pixels.shape[2:])
        return self.image.at(round(longest / 2 ** self._index(0, side, whole)))

    def _octave(self, level: int, side: int, whole: int) -> LayerMoments:
        return self.octaves[self._index(level, side, whole)]

    def _index(self, level: int, side: int, whole: int) -> int:
        halvings = max(0, round(math.log2(whole / side)))
        return min(halvings + level, len(self.octaves) - 1)


Style = StyleImage | SavedStyle


def region_of(
    styles: Sequence[Style],
    shares: tuple[float, ...],
    extractor: Extractor,
    side: int,
    whole: int,
    mask: Tensor | None = None,
) -> Region:
    """What is to look like these `styles`, each of its share, where `mask` [1, 1, H, W] is white: all by default.

    Args:
        side: long side in pixels of the picture that is painted now.
        whole: and of what it will be at last.
    """
    statistics = [style.levels(extractor, side, whole) for style in styles]
    points = [style.points(extractor, side, whole) for style in styles]
    return Region(blend(statistics, shares), mask, cloud_of(points, shares, extractor.dtype))


def painting(picture: Picture, scale: float = 1.0) -> StyleImage:
    """The style that a picture shows: what is transparent in it is none, and a margin of it gives no scale.

    Raises:
        PictureError: too little of it can be seen.
    """
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None:
        seen = [(alpha > 0).any(axis).flatten().nonzero().flatten() for axis in (3, 2)]
        down, across = (slice(int(i[0]), int(i[-1]) + 1) if len(i) else slice(0, 0) for i in seen)
        pixels, alpha = pixels[..., down, across], alpha[..., down, across]
        if not alpha.numel() or alpha.mean() < FAINT:
            raise PictureError("the style picture is wholly transparent, or nearly so: it shows no style")
        alpha = visible(alpha)
    check_wide("style", pixels)
    return StyleImage(opaque(pixels, alpha), scale, alpha)


def style_of(
    style: PictureLike,
    method: Method,
    whole: Tensor,
    max_pixels: int = MAX_PIXELS,
    visible: Tensor | None = None,
) -> Style:
    """A style, in the colours that the method wants for the content `whole` [1, 3, H, W].

    Args:
        visible: [1, 1, H, W], how much each pixel of the content counts.

    Raises:
        PictureError, SettingsError: it cannot be read, shows too little, or is a saved style, whose colours stay.
    """
    if not isinstance(style, Picture) and Path(style).suffix.lower() == EXTENSION:
        if method.colour != "style":
            raise SettingsError(f"a saved style keeps its colours: leave out colour {method.colour}")
        return load(style, whole.device)
    image = painting(opened(style, max_pixels), method.style_scale)
    pixels, weight = image.pixels.to(whole.device), image.visible
    weight = None if weight is None else weight.to(whole.device)
    if method.colour == "luminance":
        pixels = colour.lightness(pixels)
    elif method.colour == "histogram":
        pixels = colour.histogram_matched(pixels, whole, weight, visible)
    elif method.colour == "covariance":
        pixels = colour.covariance_matched(pixels, whole, weight, visible)
    return replace(image, pixels=pixels, visible=weight)


def check_wide(name: str, pixels: Tensor) -> None:
    """Refuse a picture [1, 3, H, W] that is too narrow for the networks.

    Raises:
        PictureError: it is.
    """
    shorter, longer = sorted(pixels.shape[2:])
    if shorter < SHORTEST_SIDE:
        remedy = "; take a larger --size" if name == "content" else ""
        raise PictureError(
            f"the {name} picture is too narrow at {longer}x{shorter}: {SHORTEST_SIDE} pixels at least{remedy}"
        )


def save(
    style: Picture,
    path: Path,
    *,
    size: int | None = None,
    scale: float = 1.0,
    source: dict[str, str] | None = None,
) -> None:
    """Write the statistics and the pixels of a style picture to `path`, some 2 MB.

    Args:
        size: long side in pixels of the results it is meant for; by default the picture's own, at most 1024.
        scale: how broad the brush will be in them.
        source: what `provenance.source` says of the picture, for the recipe.

    Raises:
        SettingsError: another extension, or a place that cannot be written.
        PictureError: too little of the picture can be seen.
    """
    check_writable(path)
    image = painting(style, scale)
    sized, weight = image.at(size or min(max(image.pixels.shape[2:]), LARGEST))
    if min(sized.shape[2:]) < SMALLEST:  # all octaves that the any-style network looks at must be there
        side = math.ceil(SMALLEST * max(sized.shape[2:]) / min(sized.shape[2:]))
        sized, weight = StyleImage(sized, visible=weight).fitted(side)
    extractor = Extractor(registry.load("compact"), dict.fromkeys(LAYERS, 1.0), (), levels=16)
    named = {
        f"{i}/{name}": s for i, octave in enumerate(extractor.statistics(sized, weight)) for name, s in octave.items()
    }
    named["colours"] = measure(sized, weight)
    tensors = as_tensors(named)
    tensors["pixels"] = (255 * sized[0]).round().byte()
    if weight is not None:
        tensors["visible"] = (255 * weight[0]).round().byte()
    recipe = provenance.drawn_recipe(
        "style", {"size": size, "style_scale": scale}, {"compact": weights.sha256_of("compact")}
    )
    recipe["content"] = source or provenance.unnamed(style.pixels.cpu().numpy().tobytes())
    try:
        with replacing(path) as part:
            save_file(tensors, part, {"format": FORMAT, provenance.XMP: provenance.packet(recipe).decode()})
    except (OSError, SafetensorError) as error:
        raise SettingsError(f"{path} cannot be written: {error}") from error


def check_writable(path: Path) -> None:
    """Say before the work whether a style can be saved there.

    Raises:
        SettingsError: another extension.
        OutputError: a place that cannot be written.
    """
    if path.suffix.lower() != EXTENSION:
        raise SettingsError(f"{path}: a saved style ends in {EXTENSION}")
    check_place(path)


def load(path: str | PathLike[str], device: torch.device) -> SavedStyle:
    """Read what `save` wrote.

    Raises:
        SettingsError: no such file, or it holds something else.
    """
    try:
        with safe_open(path, "pt", str(device)) as file:
            if (file.metadata() or {}).get("format") != FORMAT:
                raise SettingsError(f"{path} is no style that Impasto saved")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
        count = len({name.split("/")[0] for name in tensors} - {"colours", "pixels", "visible"})
        octaves = [{layer: _statistics(tensors, f"{i}/{layer}", TAPS[layer]) for layer in LAYERS} for i in range(count)]
        if count <= max(LEVELS):
            raise KeyError("octaves")
        return SavedStyle(octaves, _statistics(tensors, "colours", 3), _image(tensors))
    except FileNotFoundError as error:
        raise SettingsError(absent(path)) from error
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise SettingsError(f"{path} is no style that Impasto saved, or it is damaged") from error


def _image(tensors: dict[str, Tensor]) -> StyleImage | None:
    if "pixels" not in tensors:
        return None
    pixels, visible = tensors["pixels"], tensors.get("visible")
    shapes = [(3, *pixels.shape[1:]), (1, *pixels.shape[1:])]
    for values, shape in zip((pixels, visible), shapes, strict=True):
        if values is not None and (values.dtype != torch.uint8 or values.shape != shape):
            raise ValueError("pixels")
    if pixels.ndim != 3 or min(pixels.shape[1:]) < SHORTEST_SIDE:
        raise ValueError("pixels")
    return StyleImage(pixels[None] / 255, visible=None if visible is None else visible[None] / 255)


def _statistics(tensors: dict[str, Tensor], name: str, channels: int) -> Moments:
    parts = [tensors[f"{name}/{part}"].float() for part in PARTS]
    if [tuple(p.shape) for p in parts] != [(channels,), (channels, channels), ()] or not all(
        p.isfinite().all() for p in parts
    ):
        raise ValueError("shapes")
    return Moments(*parts)
