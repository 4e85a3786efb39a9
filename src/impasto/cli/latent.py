"""`impasto latent`: a model's two latents as a map of pictures, and where test pictures lie on it."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import places
from impasto.cli.sample import Which


def latent(
    model: Which,
    output: Annotated[Path, typer.Option("-o", "--output", help="The map, a picture.", metavar="OUT"), places.PICTURE],
    data: Annotated[
        str | None,
        typer.Option(help="Also draw where its test pictures lie, as OUT with -points in its name.", metavar="NAME"),
    ] = None,
    points: Annotated[int, typer.Option(help="Test pictures, at most.", min=1, metavar="N")] = 10_000,
    label: Annotated[
        int | None, typer.Option(help="The class of the map, for a model trained with classes.", metavar="N")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the data sets lie (default IMPASTO_DATA, or the cache).", metavar="DIR")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
) -> None:
    """Draw the map of a model with two latents, such as a VAE with the preset map.

    impasto latent mnist-vae2d -o map.png --data mnist
    """
    import torch

    import impasto.data
    from impasto import models, provenance
    from impasto.evaluation.grids import grid
    from impasto.evaluation.latent import SIDE, encoded, latent_map, scatter
    from impasto.files import replacing
    from impasto.picture import Picture

    decoder = models.load(model, device)
    test = impasto.data.load(data, "test", size=decoder.config.size, data_dir=data_dir) if data else None
    pictures = latent_map(decoder, labels=None if label is None else torch.tensor([label]))
    recipe = provenance.drawn_recipe("latent", {"model": model, "label": label}, {model: models.sha256_of(model)})
    Picture(grid(pictures.cpu(), SIDE), recipe=recipe).save(output)
    print(output)
    if test is not None:
        plot = output.with_name(f"{output.stem}-points.png")
        with replacing(plot) as part:
            scatter(*encoded(decoder, test, points), test.class_names, part)
        print(plot)
