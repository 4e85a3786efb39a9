"""A style as the engine meets it: a picture, or the statistics of one, saved to be used without it."""

import math
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from impasto.errors import SettingsError
from impasto.files import absent, check_place, replacing
from impasto.perception import registry
from impasto.perception.compact import TAPS, Compact
from impasto.picture import SHORTEST_SIDE, Picture, fit
from impasto.style.anystyle import LAYERS, LEVELS, SMALLEST, AnyStyle, flat
from impasto.style.draft import Canvas
from impasto.style.objective import Eye, Moments
from impasto.style.statistics import StyleStatistics, measure

EXTENSION = ".style"
FORMAT = "impasto style 1"
LARGEST = 1024  # pixels: long side of the picture whose statistics are saved where nobody says another


@dataclass(frozen=True)
class Painting:
    """A style picture [1, 3, H, W], and how broad its brush is in the result."""

    pixels: Tensor
    scale: float = 1.0  # long side of the style picture over that of the result

    @property
    def colours(self) -> StyleStatistics:
        return measure(self.pixels)

    def at(self, side: int) -> Tensor:
        """The picture for a result of `side` pixels: never enlarged, which would teach the optimiser to blur."""
        longer, shorter = max(self.pixels.shape[2:]), min(self.pixels.shape[2:])
        floor = math.ceil(SHORTEST_SIDE * longer / shorter)
        return fit(self.pixels, min(max(round(side * self.scale), floor), longer))

    def levels(self, eye: Eye, side: int, whole: int) -> list[Moments]:
        """What the optimiser aims at, when it paints at `side` pixels what will have `whole` at last."""
        return eye.statistics(self.at(side))

    def drafted(self, model: AnyStyle, side: int, whole: int, dtype: torch.dtype | None, tile: int) -> Moments:
        """What the any-style network needs."""
        return Canvas(model, self.at(side), dtype, tile).moments()


@dataclass(frozen=True)
class Saved:
    """The statistics of a style picture and of its reductions by 2, 4, ...: the brush is as broad as when it was saved.

    They are what the compact network sees, so they serve the qualities that look through it.
    """

    octaves: list[Moments]
    colours: StyleStatistics

    def levels(self, eye: Eye, side: int, whole: int) -> list[Moments]:
        """As of a painting. At half the size of the whole the first reduction is the picture, and so on."""
        if not isinstance(eye.network, Compact) or not set(eye.style_layers) <= set(LAYERS):
            raise SettingsError("a saved style is for the compact network and its layers; give the picture instead")
        return [{name: self._octave(i, side, whole)[name] for name in eye.style_layers} for i in range(eye.levels)]

    def drafted(self, model: AnyStyle, side: int, whole: int, dtype: torch.dtype | None, tile: int) -> Moments:
        """As of a painting."""
        levels = [self._octave(level, side, whole) for level in range(max(LEVELS) + 1)]
        return {"pixels": self.colours, **flat(levels)}

    def _octave(self, level: int, side: int, whole: int) -> Moments:
        halvings = max(0, round(math.log2(whole / side)))
        return self.octaves[min(halvings + level, len(self.octaves) - 1)]


Sample = Painting | Saved


def save(painting: Picture, path: Path, *, size: int | None = None, scale: float = 1.0) -> None:
    """Write the statistics of a style picture to `path`, about 300 kB.

    Args:
        size: long side in pixels of the results it is meant for; by default the picture's own, at most 1024.
        scale: how broad the brush will be in them.

    Raises:
        SettingsError: another extension, or a place that cannot be written.
    """
    check_writable(path)
    pixels = painting.pixels
    side = size or min(max(pixels.shape[2:]), LARGEST)
    sized = Painting(pixels, scale).at(side)
    if min(sized.shape[2:]) < SMALLEST:  # all octaves that the any-style network looks at must be there
        sized = fit(sized, math.ceil(SMALLEST * max(sized.shape[2:]) / min(sized.shape[2:])))
    eye = Eye(registry.load("compact"), dict.fromkeys(LAYERS, 1.0), (), levels=16)
    named = {f"{i}/{name}": s for i, octave in enumerate(eye.statistics(sized)) for name, s in octave.items()}
    named["colours"] = measure(sized)
    tensors = {f"{name}/{part}": getattr(s, part) for name, s in named.items() for part in ("mean", "second", "weight")}
    try:
        with replacing(path) as part:
            save_file(tensors, part, {"format": FORMAT})
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


def load(path: str | PathLike[str], device: torch.device) -> Saved:
    """Read what `save` wrote.

    Raises:
        SettingsError: no such file, or it holds something else.
    """
    try:
        with safe_open(path, "pt", str(device)) as file:
            if (file.metadata() or {}).get("format") != FORMAT:
                raise SettingsError(f"{path} is no style that Impasto saved")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
        count = len({name.split("/")[0] for name in tensors} - {"colours"})
        octaves = [{layer: _statistics(tensors, f"{i}/{layer}", TAPS[layer]) for layer in LAYERS} for i in range(count)]
        if count <= max(LEVELS):
            raise KeyError("octaves")
        return Saved(octaves, _statistics(tensors, "colours", 3))
    except FileNotFoundError as error:
        raise SettingsError(absent(path)) from error
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise SettingsError(f"{path} is no style that Impasto saved, or it is damaged") from error


def _statistics(tensors: dict[str, Tensor], name: str, channels: int) -> StyleStatistics:
    parts = [tensors[f"{name}/{part}"].float() for part in ("mean", "second", "weight")]
    if [tuple(p.shape) for p in parts] != [(channels,), (channels, channels), ()] or not all(
        p.isfinite().all() for p in parts
    ):
        raise ValueError("shapes")
    return StyleStatistics(*parts)
