"""`impasto classify`: what is in a picture."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli.models import names
from impasto.errors import ModelError, one_line

if TYPE_CHECKING:
    from impasto.training.contract import Model

TOP = 5  # classes shown


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
    from impasto import models

    network = models.load(model, device)
    for image in images:
        classes = best_classes(network, model, image)
        if as_json:
            print(json.dumps({"image": str(image), "model": model, "classes": classes}))
        else:
            print(f"{image}: {', '.join('{class} {confidence:.1%}'.format(**found) for found in classes)}")


def best_classes(network: "Model", model: str, image: Path) -> list[dict[str, Any]]:
    """The likeliest classes of a picture and their confidence, by the `network` of the run or name `model`.

    Raises:
        ModelError, PictureError: not a classifier, not a picture.
    """
    import torch

    from impasto.cli.sample import class_names, view_of
    from impasto.models.cnn import CNN

    if not isinstance(network, CNN):
        raise ModelError(f"{model} does not tell classes apart; take a model of the family cnn")
    names = class_names(model, network) or range(network.config.classes)
    with torch.no_grad():
        best = network.probabilities(view_of(model).seen(image).to(network.device))[0].topk(min(TOP, len(names)))
    return [
        {"class": one_line(names[index]), "confidence": round(confidence, 4)}
        for confidence, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
