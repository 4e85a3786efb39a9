"""`impasto latent`: a model's two latents as a map of pictures, and where test pictures lie on it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli import places
from impasto.cli.sample import Labels, Which, parse_labels
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
    from dataclasses import asdict

    import impasto.data
    from impasto import models, provenance
    from impasto.cli.evaluate import check_classes
    from impasto.cli.sample import class_names, view_of
    from impasto.evaluation.latent import SIDE, encoded, latent_map, scatter
    from impasto.files import replacing
    from impasto.media.grids import grid
    from impasto.media.picture import Picture

    decoder = models.load(model, device)
    wanted = parse_labels(labels, decoder, model) if labels else None
    if wanted is not None and len(wanted) > 1:
        raise SettingsError(f"a map is of one class: --labels {labels} has {len(wanted)}")
    test = None
    if data is not None:
        view: Any = asdict(view_of(model)) | {"class_names": class_names(model, decoder) or None}
        test = impasto.data.load(data, "test", **view, data_dir=data_dir)
        check_classes(model, decoder, test)
    pictures = latent_map(decoder, labels=wanted)
    recipe = provenance.drawn_recipe("latent", {"model": model, "labels": labels}, {model: models.sha256_of(model)})
    Picture(grid(pictures.cpu(), SIDE), recipe=recipe).save(output)
    print(output)
    if test is not None:
        plot = output.with_name(f"{output.stem}-points.png")
        with replacing(plot) as part:
            scatter(*encoded(decoder, test, points), test.class_names, part, recipe | {"data": data})
        print(plot)
