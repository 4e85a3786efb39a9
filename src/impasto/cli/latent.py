"""`impasto latent`: a model's two latents as a map of pictures, and where test pictures lie on it."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import places
from impasto.cli.sample import Labels, Which
from impasto.errors import SettingsError


def latent(
    model: Which,
    output: Annotated[Path, typer.Option("-o", "--output", help="The map, a picture.", metavar="OUT"), places.PICTURE],
    data: Annotated[
        str | None,
        typer.Option(help="Also draw where its test pictures lie, as OUT with -points in its name.", metavar="NAME"),
    ] = None,
    points: Annotated[
        int, typer.Option(help="Test pictures, at most; drawn evenly with seed 0.", min=1, max=10**9, metavar="N")
    ] = 10_000,
    labels: Labels = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the data sets lie (default IMPASTO_DATA, or the cache).", metavar="DIR")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
) -> None:
    """Draw the map of a model with two latents, such as a VAE with the preset map.

    impasto latent mnist-vae2d -o map.png --data mnist
    """
    from impasto.files import replacing
    from impasto.models import latent, library
    from impasto.models.drawing import latent_plane

    decoder = library.trained(model, device)
    if labels is not None and (count := len(decoder.labels(labels))) > 1:
        raise SettingsError(f"a map is of one class: --labels {labels} has {count}")
    test = None if data is None else decoder.load_data(data, "test", data_dir)
    plane = latent_plane(decoder, labels=labels)
    plane.save(output)
    print(output)
    if test is not None:
        plot = output.with_name(f"{output.stem}-points.png")
        recipe = {**(plane.recipe or {}), "data": data}
        with replacing(plot) as part:
            latent.scatter(*latent.encoded(decoder.model, test, points), test.class_names, part, recipe)
        print(plot)
