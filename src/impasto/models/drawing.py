"""The one way in to pictures that a model draws: each comes as a `Picture` with its recipe.

import impasto
impasto.draw("mnist-gan", n=25, labels="0-9", seed=1).save("digits.png")
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto import provenance
from impasto.configs import nearest
from impasto.device import seeded
from impasto.errors import ModelError
from impasto.media.grids import columns_for, grid, labelled
from impasto.media.picture import Picture
from impasto.models.latent import SIDE, interpolations, latent_map
from impasto.models.library import Trained, trained
from impasto.training.contract import AddsNoise, KnownPixels, sampler

Labels = str | Sequence[int] | None  # "7", "0-9", "3,1,4", "cat,dog", or numbers of classes; None: random ones
HALVES = ("lower", "upper", "right", "left")
COMPARED, CELL = 10, 112  # pictures of each model in a comparison, and their side there, pixels


@dataclass(frozen=True)
class Progress:
    """Where the drawing stands after a step. How many there will be, a model does not say."""

    step: int  # from 1
    pictures: Tensor  # [n, C, S, S] in [0, 1]
    recipe: dict[str, Any]
    result: Callable[[], Picture]  # the pictures so far, as one sheet

    def singles(self) -> Iterator[Picture]:
        """Each picture on its own."""
        for pixels in self.pictures.cpu():
            yield Picture(pixels.expand(1, 3, -1, -1).clone(), recipe=self.recipe)


def draw(
    model: str | Path | Trained,
    n: int = 25,
    *,
    labels: Labels = None,
    seed: int = 0,
    film: int | None = None,
    device: str = "auto",
    **options: Any,
) -> Picture:
    """Draw `n` pictures with a trained model, as one sheet with its recipe.

    Args:
        model: a run folder, or the name of a bundled model (`impasto models list`).
        n: from 1 up.
        labels: the classes to draw, repeated as needed: "7", "0-9", "3,1,4", "cat,dog" or numbers; random ones if None.
        seed: the same one draws the same pictures.
        film: instead of the sheet, a row for each picture, of so many moments.
        device: "cpu", "cuda", "cuda:1", "mps" or "auto" for the fastest; for a model that is not loaded yet.
        options: of the family's sampler, such as `steps` of diffusion.

    Raises:
        ModelError: no such model, or it does not draw pictures.
        SettingsError: no such device; an option that its sampler does not have, or out of range; labels that it does
            not know.

    Examples:
        >>> impasto.draw("mnist-gan", n=20, labels="0-9", seed=1)
        <Picture of 582 x 118 pixels>
    """
    *_, last = drawing(model, n, labels=labels, seed=seed, film=film, device=device, **options)
    return last.result()


def drawing(
    model: str | Path | Trained,
    n: int = 25,
    *,
    labels: Labels = None,
    seed: int = 0,
    film: int | None = None,
    device: str = "auto",
    **options: Any,
) -> Iterator[Progress]:
    """Draw as `draw` does, yielding the pictures while they take shape. Closing the generator ends the work.

    Arguments and errors are those of `draw`.
    """
    drawer = _loaded(model, device)
    wanted = _labels(drawer, labels)
    columns = len(wanted) if wanted is not None and 1 < len(wanted) < n else columns_for(n)
    recipe = drawer.recipe("sample", {"n": n, "labels": _plain(labels), "seed": seed, "film": film, **options})
    yield from _steps(drawer, n, wanted, None, seed, columns, recipe, options, film)


def inpainting(
    model: str | Path | Trained,
    pictures: Sequence[Path],
    mask: Path | None = None,
    n: int = 5,
    *,
    part: str = "lower",
    labels: Labels = None,
    seed: int = 0,
    device: str = "auto",
    **options: Any,
) -> Iterator[Progress]:
    """Complete each of `pictures` `n` times, a row for each: the known part stays, the rest is drawn.

    Args:
        mask: a picture that is white where to draw anew.
        part: without a mask, the half that is drawn anew: "lower", "upper", "left" or "right".

    Raises:
        PictureError: a file that cannot be read.
        ModelError, SettingsError: as `drawing`.
    """
    drawer = _loaded(model, device)
    images = torch.cat([drawer.view.seen(path) for path in pictures])
    anew = _half(part, drawer.model.config.size) if mask is None else drawer.view.mask(mask)
    wanted = _labels(drawer, labels)
    where = {"part": part} if mask is None else {}
    recipe = drawer.recipe("inpaint", {"n": n, "labels": _plain(labels), "seed": seed, **where, **options})
    recipe["content"] = [provenance.source(path) for path in (*pictures, *([] if mask is None else [mask]))]
    given = KnownPixels(images.repeat_interleave(n, 0), ~anew)
    wanted = None if wanted is None else wanted.repeat_interleave(n)
    yield from _steps(drawer, n * len(images), wanted, given, seed, n, recipe, options)


def interpolation(
    model: str | Path | Trained,
    rows: int = 5,
    columns: int = 10,
    *,
    labels: Labels = None,
    seed: int = 0,
    device: str = "auto",
) -> Picture:
    """The way from one picture to another, of one class, in each of `rows`.

    Raises:
        ModelError, SettingsError: as `models.latent.interpolations`.
    """
    drawer = _loaded(model, device)
    pictures = interpolations(drawer.model, rows, columns, _labels(drawer, labels), seeded(seed))
    recipe = drawer.recipe("interpolate", {"rows": rows, "columns": columns, "labels": _plain(labels), "seed": seed})
    return Picture(grid(pictures, columns), recipe=recipe)


def latent_plane(model: str | Path | Trained, *, labels: Labels = None, device: str = "auto") -> Picture:
    """The plane of a model of two latents, as a sheet of pictures.

    Raises:
        ModelError, SettingsError: as `models.latent.latent_map`.
    """
    drawer = _loaded(model, device)
    pictures = latent_map(drawer.model, labels=_labels(drawer, labels))
    return Picture(grid(pictures, SIDE), recipe=drawer.recipe("latent", {"labels": _plain(labels)}))


def noise_levels(
    model: str | Path | Trained, pictures: Sequence[Path], levels: int = 8, *, seed: int = 0, device: str = "auto"
) -> Picture:
    """`pictures` on their way to noise, as a diffusion model sees them in training: a row for each.

    Raises:
        ModelError: the family does not work with noise.
        PictureError: a file that cannot be read.
    """
    drawer = _loaded(model, device)
    if not isinstance(drawer.model, AddsNoise):
        raise ModelError(f"the family {drawer.family} does not work with noise; take a diffusion model")
    adds: AddsNoise = drawer.model
    images = torch.cat([drawer.view.seen(path) for path in pictures])
    noisy = adds.noising(images.to(drawer.model.device), levels, seeded(seed))
    recipe = drawer.recipe("noise", {"levels": levels, "seed": seed})
    recipe["content"] = [provenance.source(path) for path in pictures]
    return Picture(grid(noisy.transpose(0, 1).flatten(0, 1), levels), recipe=recipe)  # of [levels, N, C, S, S]


@dataclass(frozen=True)
class Glance:
    """A model at a glance."""

    name: str
    sha256: str  # of its weights
    pictures: Tensor  # [COMPARED, C, S, S], the first that it draws, none chosen; one of each class where it knows ten
    seconds: float  # a picture, when so many are drawn at once


def glances(models: Sequence[Trained], *, seed: int = 0) -> Iterator[list[Glance]]:
    """Draw COMPARED pictures with each of `models`, yielding what there is so far after each.

    Raises:
        ModelError: one that does not draw.
    """
    shown: list[Glance] = []
    for drawer in models:
        classes = drawer.model.config.classes
        labels = torch.arange(COMPARED) % classes if classes else None
        begun = time.perf_counter()
        pictures = drawer.model.sample(COMPARED, labels=labels, generator=seeded(seed)).cpu()
        seconds = (time.perf_counter() - begun) / COMPARED
        shown.append(Glance(drawer.name, drawer.sha256, pictures, seconds))
        yield [*shown]


def comparison(shown: Sequence[Glance], *, seed: int = 0) -> Picture:
    """A row for each model behind its name, all pictures at the same size.

    Args:
        seed: that of `glances`.
    """
    rows = [F.interpolate(one.pictures.expand(-1, 3, -1, -1), CELL, mode="area") for one in shown]
    weights = {one.name: one.sha256 for one in shown}
    recipe = provenance.drawn_recipe("compare", {"models": list(weights), "seed": seed}, weights)
    sheet = grid(torch.cat(rows), COMPARED)
    return Picture(labelled(sheet, [Path(one.name).name for one in shown]), recipe=recipe)


def _half(part: str, size: int) -> Tensor:
    """[1, 1, size, size] bool: True in one of `HALVES`."""
    if part not in HALVES:
        raise nearest(part, HALVES, "half of a picture")
    half = slice(size // 2, None) if part in ("lower", "right") else slice(size // 2)
    inside = torch.zeros(1, 1, size, size, dtype=torch.bool)
    inside[(..., half, slice(None)) if part in ("lower", "upper") else (..., half)] = True
    return inside


def _loaded(model: str | Path | Trained, device: str) -> Trained:
    return model if isinstance(model, Trained) else trained(model, device)


def _labels(drawer: Trained, labels: Labels) -> Tensor | None:
    return drawer.labels(labels) if isinstance(labels, str) else None if labels is None else torch.tensor([*labels])


def _plain(labels: Labels) -> str | list[int] | None:
    """Labels as a recipe can hold them."""
    return labels if labels is None or isinstance(labels, str) else [int(label) for label in labels]


def _steps(
    drawer: Trained,
    n: int,
    labels: Tensor | None,
    given: KnownPixels | None,
    seed: int,
    columns: int,
    recipe: dict[str, Any],
    options: dict[str, Any],
    film: int | None = None,
) -> Iterator[Progress]:
    moments: list[Tensor] = []
    steps = sampler(drawer.model).sampling(n, labels=labels, given=given, generator=seeded(seed), **options)
    for step, pictures in enumerate(steps, 1):
        if film is None:
            result = partial(_sheet, pictures, columns, recipe)
        else:
            moments.append(pictures.cpu())
            result = partial(_film, moments, film, recipe)
        yield Progress(step, pictures, recipe, result)


def _sheet(pictures: Tensor, columns: int, recipe: dict[str, Any]) -> Picture:
    return Picture(grid(pictures, columns), recipe=recipe)


def _film(moments: list[Tensor], count: int, recipe: dict[str, Any]) -> Picture:
    """A row for each picture, of `count` of its `moments` [N, C, S, S]."""
    chosen = torch.linspace(0, len(moments) - 1, min(count, len(moments))).round().int().tolist()
    rows = torch.stack([moments[i] for i in chosen], 1).flatten(0, 1)
    return Picture(grid(rows, len(chosen)), recipe=recipe)
