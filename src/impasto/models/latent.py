"""The latent space of a model to look at: a map of it, where pictures lie in it, and the way from one to another."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from impasto.data.dataset import Dataset, drawn
from impasto.errors import ModelError, SettingsError
from impasto.provenance import of_figure
from impasto.training.contract import Decodes, Encodes

SIDE = 30  # of the map, pictures
CHUNK = 500  # pictures encoded at a time


def map_latents(side: int = SIDE) -> Tensor:
    """Points [side * side, 2] of a plane, row by row, that share out the probability of N(0, 1) equally.

    Each axis is the Gaussian's inverse CDF at the middles of `side` equal shares (Kingma and Welling 2014, figure 4).
    The first latent grows to the right and the second upwards, as in the scatter.
    """
    axis = torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side).float()
    return torch.cartesian_prod(axis.flip(0), axis).flip(1)


def latents_at(right: float, up: float) -> Tensor:
    """The latents [1, 2] at a place of that plane: shares of its width and height, in (0, 1), from the lower left."""
    return torch.special.ndtri(torch.tensor([[right, up]], dtype=torch.float64)).float()


def latent_map(model: nn.Module, side: int = SIDE, labels: Tensor | None = None) -> Tensor:
    """The pictures [side * side, C, S, S] that a model of two latents makes of `map_latents`.

    Args:
        labels: the class [1] of them all, for a model that is conditional on it.

    Raises:
        ModelError: the model has no latents, or not two.
        SettingsError: no class for a model that needs one, or one that it does not have.
    """
    decoder = _decoding(model)
    example = decoder.latents(1)
    if (found := example.numel()) != 2:
        raise ModelError(f"a map has two dimensions, and this model {found} latents; train a VAE with --preset map")
    if labels is None and decoder.classes_for(1, None) is not None:
        raise SettingsError("this model draws one class at a time; say which")
    points = map_latents(side).to(example.device)
    return decoder.decode(points, decoder.classes_for(len(points), labels))


def encoded(model: nn.Module, data: Dataset, n: int) -> tuple[Tensor, Tensor | None]:
    """Latents [n, latent] and labels [n] of `n` pictures of `data`, drawn evenly, or of all if it has fewer.

    Raises:
        ModelError: the model does not encode pictures.
    """
    if not isinstance(model, Encodes):
        raise ModelError(f"the family {type(model).__name__} does not encode pictures; a VAE does")
    device = model.latents(1).device
    latents, labels = [], []
    for indices in drawn(data, n, 0).split(CHUNK):
        batch = data.batch(indices)
        known = None if batch.labels is None else batch.labels.to(device)
        latents.append(model.encode(batch.images.to(device), known).cpu())
        labels += [] if batch.labels is None else [batch.labels]
    return torch.cat(latents), torch.cat(labels) if labels else None


def scatter(
    latents: Tensor, labels: Tensor | None, class_names: tuple[str, ...], path: Path, recipe: Mapping[str, Any]
) -> None:
    """Draw latents [N, 2] as points, a colour for each class, and write the figure to `path` with its `recipe`."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure  # without pyplot there is no window and no state: Agg draws to the file

    figure = Figure(figsize=(7, 7), layout="constrained")
    axes = figure.add_subplot(xlabel="first latent", ylabel="second latent", aspect="equal")
    if labels is None:
        axes.scatter(latents[:, 0], latents[:, 1], s=3)
    else:
        if len(class_names) > 10:  # more than the usual colours
            axes.set_prop_cycle(color=colormaps["turbo"](torch.linspace(0, 1, len(class_names)).numpy()))
        for index in range(len(class_names)):
            own = latents[labels == index]
            axes.scatter(own[:, 0], own[:, 1], s=3, label=f"class {index}")
        legend = figure.legend(markerscale=4, loc="outside right center")
        for text, name in zip(legend.get_texts(), class_names, strict=True):
            text.set(text=name, parse_math=False)  # a name is anyone's: "$" starts no formula, "_" hides no class
    figure.savefig(path, dpi=120, metadata=of_figure(recipe))


def between(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Latents [steps, ...] from `start` [...] to `end` [...], both included, along an arc.

    Spherical interpolation (White 2016, "Sampling Generative Networks"): Gaussian latents of d dimensions lie near a
    sphere of radius √d. A straight line would cut through its inside, where the decoder has hardly ever been and draws
    washed-out pictures. Where the two point the same or opposite ways there is no arc, and a straight line it is.
    """
    share = torch.linspace(0, 1, steps, device=start.device).view(-1, *[1] * start.ndim)
    cosine = torch.cosine_similarity(start.flatten(), end.flatten(), 0)
    angle = cosine.clamp(-1, 1).acos()
    if cosine.abs() > 0.9999:
        return (1 - share) * start + share * end
    return (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / angle.sin()


def interpolations(
    model: nn.Module, rows: int, steps: int, labels: Tensor | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """Pictures [rows * steps, C, S, S]: in each row the way from one drawn latent to another, of one class.

    Args:
        labels: the class of each row, repeated as needed; random ones if None and the model has classes.

    Raises:
        ModelError: the model has no latents.
        SettingsError: labels that the model does not have.
    """
    decoder = _decoding(model)
    starts, ends = decoder.latents(2 * rows, generator).chunk(2)
    labels = decoder.classes_for(rows, labels, generator)
    path = torch.cat([between(start, end, steps) for start, end in zip(starts, ends, strict=True)])
    return decoder.decode(path, None if labels is None else labels.repeat_interleave(steps))


def _decoding(model: nn.Module) -> Decodes:
    if not isinstance(model, Decodes):
        raise ModelError(f"the family {type(model).__name__} has no latents; VAE, GAN and diffusion have")
    return model
