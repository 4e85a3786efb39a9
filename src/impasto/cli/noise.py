"""`impasto noise`: pictures on their way to noise, as a diffusion model sees them in training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli import places
from impasto.cli.places import Overwrite
from impasto.cli.sample import Seed, Which, view_of
from impasto.errors import ModelError


def noise(
    model: Which,
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Pictures to drown in noise.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The rows, a picture.", metavar="OUT"), places.PICTURE],
    levels: Annotated[
        int, typer.Option(help="Levels of noise, from none to nothing else.", min=2, max=1000, metavar="N")
    ] = 8,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
) -> None:
    """Add noise to pictures, level by level: the way that a diffusion model walks back. A row for each picture.

    impasto noise mnist-diffusion seven.png -o strip.png
    """
    import torch

    from impasto import models, provenance
    from impasto.device import seeded
    from impasto.media.grids import grid
    from impasto.media.picture import Picture

    diffusion: Any = models.load(model, device)
    if not hasattr(diffusion, "noising"):
        raise ModelError(f"the family {type(diffusion).__name__} does not work with noise; take a diffusion model")
    view = view_of(model)
    images = torch.cat([view.seen(path) for path in pictures])
    noisy = diffusion.noising(images.to(diffusion.device), levels, seeded(seed))
    rows = noisy.transpose(0, 1).flatten(0, 1)  # of [levels, N, C, S, S]
    settings = {"model": model, "levels": levels, "seed": seed}
    recipe = provenance.drawn_recipe("noise", settings, {model: models.sha256_of(model)})
    recipe["content"] = [provenance.source(path) for path in pictures]
    Picture(grid(rows, levels), recipe=recipe).save(output)
    print(output)
