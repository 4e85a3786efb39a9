"""`impasto classify`: what is in a picture."""

import json
from pathlib import Path
from typing import Annotated

import typer

from impasto import bundled


def classify(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Pictures; made square as those it learned from."),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="A classifier: a run folder, or a name from `impasto models list`.",
            metavar="MODEL",
            autocompletion=bundled.model_names,
        ),
    ] = "cifar10-cnn",
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture and line.")] = False,
) -> None:
    """Say which of a classifier's classes a picture shows, with its confidence in the first five.

    A classifier knows nothing but its training data: cifar10-cnn animals and vehicles, mnist-cnn white digits on black.

    impasto classify photo.jpg
    """
    from impasto.models import library

    classifier = library.trained(model, device)
    for image in images:
        classes = classifier.classify(image)
        if as_json:
            print(json.dumps({"image": str(image), "model": model, "classes": classes}))
        else:
            print(f"{image}: {', '.join('{class} {confidence:.1%}'.format(**found) for found in classes)}")
