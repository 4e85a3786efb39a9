"""`impasto export`: a trained model as one file for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from impasto import bundled
from impasto.cli import places
from impasto.errors import SettingsError

DRAFT = "draft"


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help=f"A run folder, a name from `impasto models list`, or {DRAFT}: painting in one pass, in any style.",
            autocompletion=lambda: [DRAFT, *bundled.model_names()],
        ),
    ],
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
    web: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="draft: a page for any file server, which paints in the browser."),
        places.FOLDER,
    ] = None,
) -> None:
    """Write a trained model as one file: its weights (safetensors), or its network (ONNX). Or `draft` as a page.

    impasto export runs/vae-mnist --safetensors vae.safetensors --half

    impasto export mnist-cnn --onnx digits.onnx

    impasto export draft --onnx draft.onnx

    impasto export draft --web page
    """
    if sum(place is not None for place in (safetensors, onnx, web)) != 1:
        raise SettingsError("say what to write: --safetensors FILE, --onnx FILE, or of draft --web DIR")
    if web is not None and model != DRAFT:
        raise SettingsError(f"--web is for {DRAFT}, not for {model}")
    if half and safetensors is None:
        raise SettingsError("--half is for --safetensors; ONNX files are float32")

    if web is not None:
        from impasto.style import browser
        from impasto.training.export import check_onnx

        check_onnx()
        browser.write(web, _export_draft)
        print(web)
        return
    if model == DRAFT and onnx is not None:
        _export_draft(onnx)
        print(onnx)
        return

    from impasto.models import library
    from impasto.training import checkpoint, export

    if safetensors is not None:
        export.weights(*checkpoint.load(library.find(model)), safetensors, half=half)
    elif onnx is not None:
        export.network(library.load(model), onnx)
    print(safetensors or onnx)


def _export_draft(file: Path) -> None:
    """Painting in one pass as one graph: a content, a style and a freedom go in, a picture comes out."""
    import torch

    from impasto import weights
    from impasto.style import draft, portable
    from impasto.training import export

    inputs = tuple(torch.full(shape, 0.5) for shape in portable.EXAMPLES)
    made_by = {"network": DRAFT, "weights": weights.sha256_of("anystyle")}
    network = portable.Portable(draft.load())
    export.graph(network, inputs, portable.INPUTS, portable.OUTPUTS, portable.FREE, made_by, file)
