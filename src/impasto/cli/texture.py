"""`impasto texture`: more of what a sample shows, in any size, without an edge."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from impasto import options
from impasto.bundled import STYLES, style_picture
from impasto.cli import places
from impasto.cli.options import (
    EVERYDAY,
    MACHINE,
    METHOD,
    OUTPUT,
    Device,
    Label,
    Memory,
    Precision,
    StyleWeights,
    setting,
)
from impasto.cli.places import Overwrite
from impasto.options import option
from impasto.style.settings import TEXTURE_STEPS, Settings, TextureSettings

shape = partial(setting, of=TextureSettings)


def texture(
    context: typer.Context,
    samples: Annotated[
        list[str],
        typer.Argument(
            metavar="SAMPLE...",
            help="Pictures of the texture; several blend. Files, or bundled styles.",
            autocompletion=lambda: [*STYLES],
        ),
    ],
    output: Annotated[
        Path,
        option(EVERYDAY, "The picture to write: .png, .jpg, .webp or .tif", "-o", "--output", metavar="OUT"),
        places.PICTURE,
    ],
    width: Annotated[int | None, shape(EVERYDAY, "width", metavar="PX")] = None,
    height: Annotated[int | None, shape(EVERYDAY, "height", metavar="PX")] = None,
    seamless: Annotated[str | None, shape(EVERYDAY, "seamless", metavar="MODE")] = None,
    scale: Annotated[float | None, shape(EVERYDAY, "scale", metavar="X")] = None,
    style_weights: StyleWeights = None,
    seed: Annotated[
        int | None, setting(EVERYDAY, "seed", text="Another seed gives another piece of the texture", metavar="N")
    ] = None,
    quality: Annotated[
        Literal["fine", "gallery"],
        typer.Option(help="fine, or gallery for VGG-19 and minutes", metavar="NAME", rich_help_panel=METHOD),
    ] = "fine",
    steps: Annotated[int | None, setting(METHOD, "steps", unset=str(TEXTURE_STEPS[0]), metavar="N")] = None,
    bits: Annotated[
        int | None, option(OUTPUT, "Bits per channel: 8, or if asked for 16, in PNG and TIFF", metavar="N")
    ] = None,
    label: Label = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, option(OUTPUT, "A JSON object per step, and one at the end", "--json")] = False,
    device: Device = None,
    precision: Precision = None,
    memory: Memory = None,
    weights: Annotated[
        Path | None,
        option(MACHINE, "The quality's network from this file: VGG-19 for gallery", metavar="FILE"),
    ] = None,
) -> None:
    """Make a texture of any size from SAMPLE, for cloth, game surfaces and backgrounds.

    impasto texture mosaic -o tile.png --seamless both
    """
    given = options.given(context.params, Settings)
    saving: dict[str, Any] = {"label_cn": label == "cn"} | ({} if bits is None else {"bits": bits})

    from impasto.cli.paint import paint
    from impasto.style.texture import Job, synthesising

    job = Job(
        [style_picture(name) for name in samples], weights=weights, **options.given(context.params, TextureSettings)
    )
    run = synthesising(job, Settings(**given))
    painted = paint(run, output, long_side=max(job.width, job.height), saving=saving, as_json=as_json)
    if not as_json:
        print(f"{output}: {painted}" if sys.stdout.isatty() else output)
