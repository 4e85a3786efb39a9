"""`impasto texture`: more of what a sample shows, in any size, without an edge."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from impasto.cli import options, places
from impasto.cli.options import (
    EVERYDAY,
    MACHINE,
    METHOD,
    OUTPUT,
    Device,
    Label,
    Memory,
    Precision,
    StyleWeight,
    option,
    setting,
)
from impasto.cli.places import Overwrite
from impasto.cli.styles import BUNDLED, style_picture
from impasto.style.settings import Settings


def texture(
    context: typer.Context,
    samples: Annotated[
        list[str],
        typer.Argument(
            metavar="SAMPLE...",
            help="Pictures of the texture; several blend. Files, or bundled styles.",
            autocompletion=lambda: [*BUNDLED],
        ),
    ],
    output: Annotated[
        Path,
        option(EVERYDAY, "The picture to write: .png, .jpg, .webp or .tif", "-o", "--output", metavar="OUT"),
        places.PICTURE,
    ],
    size: Annotated[
        tuple[int, int], typer.Option(help="Width and height in pixels", metavar="W H", rich_help_panel=EVERYDAY)
    ] = (512, 512),
    tile: Annotated[
        Literal["no", "x", "y", "both"],
        typer.Option(
            help="Where it repeats without a seam: no, x (across), y (down) or both",
            metavar="MODE",
            rich_help_panel=EVERYDAY,
        ),
    ] = "no",
    scale: Annotated[
        float | None,
        option(EVERYDAY, "Size of the pattern, at most 1; 0.5 is half as large as in SAMPLE (default 1)", metavar="X"),
    ] = None,
    style_weight: StyleWeight = None,
    seed: Annotated[
        int | None, setting(EVERYDAY, "seed", "Another seed gives another piece of the same texture", metavar="N")
    ] = None,
    quality: Annotated[
        Literal["fine", "gallery"],
        typer.Option(help="fine, or gallery for VGG-19 and minutes", metavar="NAME", rich_help_panel=METHOD),
    ] = "fine",
    steps: Annotated[
        int | None,
        option(METHOD, "Steps at full size; those of smaller sizes keep their proportion (default 39)", metavar="N"),
    ] = None,
    bits: Annotated[
        int | None, option(OUTPUT, "Bits per channel, 8, or 16 for PNG and TIFF (default 8)", metavar="N")
    ] = None,
    label: Label = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, option(OUTPUT, "A JSON object per step, and one at the end", "--json")] = False,
    device: Device = None,
    precision: Precision = None,
    memory: Memory = None,
    weights: Annotated[
        Path | None, option(MACHINE, "The quality's network from this file: VGG-19 for gallery", metavar="FILE")
    ] = None,
) -> None:
    """Make a texture of any size from SAMPLE, for cloth, game surfaces and backgrounds.

    impasto texture mosaic -o tile.png --tile both
    """
    own = {name: value for name, value in context.params.items() if name not in ("size", "tile")}  # others' in Settings
    given = options.given(own, style_weight)
    if scale is not None:
        given["style_scale"] = scale
    saving: dict[str, Any] = {"label_cn": label == "cn"} | ({} if bits is None else {"bits": bits})

    from impasto.cli.paint import paint
    from impasto.style.texture import Job, synthesising

    job = Job([style_picture(name) for name in samples], size, wrap=tile, weights=weights)
    run = synthesising(job, Settings(**given))
    painted = paint(run, output, long_side=max(size), saving=saving, as_json=as_json)
    if not as_json:
        print(f"{output}: {painted}" if sys.stdout.isatty() else output)
