"""`impasto export`: a trained model as one file for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import places
from impasto.cli.sample import Which
from impasto.errors import SettingsError


def export(
    model: Which,
    safetensors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the averaged weights, with their settings, here."),
        places.FILE,
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="As float16: half the size.")] = False,
    onnx: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the network here, for ONNX Runtime and others."),
        places.FILE,
    ] = None,
) -> None:
    """Write a trained model as one file: its weights (safetensors), or its network (ONNX).

    impasto export runs/vae-mnist --safetensors vae.safetensors --half

    impasto export mnist-cnn --onnx digits.onnx
    """
    if (safetensors is None) == (onnx is None):
        raise SettingsError("say what to write: --safetensors FILE or --onnx FILE")
    if half and safetensors is None:
        raise SettingsError("--half is for --safetensors; ONNX files are float32")

    from impasto.models import library
    from impasto.training import checkpoint, export

    if safetensors is not None:
        export.weights(*checkpoint.load(library.find(model)), safetensors, half=half)
    elif onnx is not None:
        export.network(library.load(model), onnx)
    print(safetensors or onnx)
