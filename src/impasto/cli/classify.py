"""`impasto classify`: what is in a picture."""

import json
from pathlib import Path
from typing import Annotated

import typer

from impasto.cli.models import names
from impasto.cli.terminal import one_line
from impasto.errors import ModelError

TOP = 5  # classes shown


def classify(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures; their middle square is seen.")],
    model: Annotated[
        str,
        typer.Option(
            help="A classifier: a run folder, or a name from `impasto models list`.",
            metavar="MODEL",
            autocompletion=names,
        ),
    ] = "cifar10-cnn",
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per picture and line.")] = False,
) -> None:
    """Say which of a classifier's classes a picture shows, with its confidence in the first five.

    A classifier knows nothing but its training data: cifar10-cnn animals and vehicles, mnist-cnn white digits on black.

    impasto classify photo.jpg
    """
    import torch

    from impasto import models
    from impasto.cli.sample import square
    from impasto.models.cnn import CNN
    from impasto.training import checkpoint

    network = models.load(model, device)
    if not isinstance(network, CNN):
        raise ModelError(f"{model} does not tell classes apart; take a model of the family cnn")
    names = checkpoint.read_config(models.find(model)).get("class_names", [])
    if len(names) != network.config.classes:
        names = range(network.config.classes)
    for image in images:
        seen = square(image, network.config.size, network.config.channels).to(network.device)
        with torch.no_grad():
            best = network.probabilities(seen)[0].topk(min(TOP, len(names)))
        classes = [
            {"class": one_line(names[index]), "confidence": round(confidence, 4)}
            for confidence, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
        if as_json:
            print(json.dumps({"image": str(image), "model": model, "classes": classes}))
        else:
            print(f"{image}: {', '.join('{class} {confidence:.1%}'.format(**found) for found in classes)}")
