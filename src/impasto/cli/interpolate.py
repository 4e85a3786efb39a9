"""`impasto interpolate`: pictures on the way from one latent to another."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import places
from impasto.cli.sample import Labels, Seed, Which


def interpolate(
    model: Which,
    output: Annotated[Path, typer.Option("-o", "--output", help="The rows, a picture.", metavar="OUT"), places.PICTURE],
    rows: Annotated[int, typer.Option(help="Ways, each between two other pictures.", min=1, max=1000, metavar="N")] = 5,
    columns: Annotated[int, typer.Option(help="Pictures of a way.", min=2, max=1000, metavar="N")] = 10,
    labels: Labels = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
) -> None:
    """Draw how one picture turns into another.

    impasto interpolate mnist-vae -o rows.png
    """
    from impasto.models.drawing import interpolation

    interpolation(model, rows, columns, labels=labels, seed=seed, device=device).save(output)
    print(output)
