"""`impasto noise`: pictures on their way to noise, as a diffusion model sees them in training."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import places
from impasto.cli.places import Overwrite
from impasto.cli.sample import Seed, Which


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
    from impasto.models.drawing import noise_levels

    noise_levels(model, pictures, levels, seed=seed, device=device).save(output)
    print(output)
