"""`impasto style`: repaint a picture in the manner of others."""

import sys
from itertools import count, takewhile
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto import files as disk
from impasto import options
from impasto.bundled import STYLES, style_picture
from impasto.cli import places
from impasto.cli.options import (
    EVERYDAY,
    MACHINE,
    METHOD,
    OUTPUT,
    REGIONS,
    Colour,
    Device,
    Freedom,
    Label,
    Memory,
    Precision,
    Quality,
    Seed,
    Size,
    Strength,
    StyleScale,
    StyleWeights,
    setting,
)
from impasto.cli.places import Overwrite
from impasto.configs import changed
from impasto.errors import SettingsError
from impasto.media.formats import MAX_PIXELS
from impasto.options import option
from impasto.style.settings import Settings


def style(
    context: typer.Context,
    content: Annotated[Path | None, typer.Argument(metavar="CONTENT", help="The picture to repaint.")] = None,
    styles: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STYLE",
            help="The picture that shows how; several blend. A file, a saved style, or a bundled one.",
            autocompletion=lambda: [*STYLES],
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option(EVERYDAY, "The picture to write: .png, .jpg, .webp or .tif", "-o", "--output", metavar="OUT"),
        places.PICTURE,
    ] = None,
    save_style: Annotated[
        Path | None,
        option(
            EVERYDAY,
            "Write the style of one picture to a small file, to be named instead of the picture from then on: "
            "impasto style PICTURE --save-style NAME.style",
            metavar="FILE",
        ),
        places.STYLE,
    ] = None,
    quality: Quality = None,
    size: Size = None,
    strength: Strength = None,
    style_scale: StyleScale = None,
    style_weights: StyleWeights = None,
    recipe: Annotated[
        Path | None,
        option(
            EVERYDAY,
            "Repeat the run that made this picture. Its inputs are looked for beside it and in this folder; "
            "other options override its settings, and --bits is not among them",
            metavar="FILE",
        ),
    ] = None,
    colour: Colour = None,
    mask: Annotated[
        list[Path] | None, option(REGIONS, "Picture that is white where a style goes, once per STYLE", metavar="FILE")
    ] = None,
    protect: Annotated[
        Path | None, option(REGIONS, "Picture that is white where the content stays as it is", metavar="FILE")
    ] = None,
    init: Annotated[
        str | None,
        setting(METHOD, "init", text="Where the optimiser starts, a picture FILE or one of", metavar="WHAT"),
    ] = None,
    seed: Seed = None,
    network: Annotated[str | None, setting(METHOD, "network", metavar="NAME")] = None,
    style_layers: Annotated[str | None, setting(METHOD, "style_layers", metavar="A,B")] = None,
    content_layers: Annotated[str | None, setting(METHOD, "content_layers", metavar="A,B")] = None,
    style_loss: Annotated[str | None, setting(METHOD, "style_loss", metavar="NAME")] = None,
    freedom: Freedom = None,
    content_weight: Annotated[float | None, setting(METHOD, "content_weight", metavar="W")] = None,
    variation_weight: Annotated[
        float | None, setting(METHOD, "variation_weight", "--variation-weight", "--tv-weight", metavar="W")
    ] = None,
    optimiser: Annotated[str | None, setting(METHOD, "optimiser", "--optimiser", "--optimizer", metavar="NAME")] = None,
    steps: Annotated[int | None, setting(METHOD, "steps", metavar="N")] = None,
    pooling: Annotated[str | None, setting(METHOD, "pooling", metavar="NAME")] = None,
    bits: Annotated[
        int | None, option(OUTPUT, "Bits per channel: 8, or if asked for 16, in PNG and TIFF", metavar="N")
    ] = None,
    label: Label = None,
    overwrite: Overwrite = False,
    no_metadata: Annotated[bool, option(OUTPUT, "Leave out recipe and labels", "--no-metadata")] = False,
    save_every: Annotated[
        int | None,
        option(
            OUTPUT,
            "Also write the picture every N steps, as OUT with the step in its name",
            metavar="N",
            min=1,
            max=10**6,
        ),
    ] = None,
    as_json: Annotated[bool, option(OUTPUT, "A JSON object per step, and one at the end", "--json")] = False,
    device: Device = None,
    precision: Precision = None,
    memory: Memory = None,
    tile: Annotated[int | None, setting(MACHINE, "tile", metavar="PX")] = None,
    weights: Annotated[
        Path | None,
        option(
            MACHINE,
            "The network from this file: a VGG of Keras or torchvision, or what train anystyle made",
            metavar="FILE",
        ),
    ] = None,
    max_pixels: Annotated[
        int | None, option(MACHINE, f"Refuse input pictures with more pixels (default {MAX_PIXELS})", metavar="N")
    ] = None,
) -> None:
    """Repaint CONTENT in the manner of STYLE.

    impasto style photo.jpg swirl -o out.png

    impasto style photo.jpg painting.jpg -o out.jpg --size 2048 --colour luminance --protect face.png
    """
    if save_style is not None:
        if content is None or styles or output is not None:
            raise SettingsError("one picture becomes one style: impasto style PICTURE --save-style NAME.style")
        from impasto import provenance
        from impasto.media import picture
        from impasto.style import source as saved

        sizes = {} if style_scale is None else {"scale": style_scale}
        file = style_picture(str(content))
        saved.save(picture.read(file), save_style, size=size, source=provenance.source(file), **sizes)
        print(save_style)
        return
    if output is None:
        raise SettingsError("say where the picture goes: impasto style CONTENT STYLE -o OUT")
    given = options.given(context.params, Settings)
    files = {f"style {i}": style_picture(name) for i, name in enumerate(styles or (), 1)}
    files |= {f"mask {i}": file for i, file in enumerate(mask or (), 1)}
    files |= {role: file for role, file in (("content", content), ("protect", protect)) if file is not None}
    if init is not None and (Path(init).suffix or Path(init).is_file()):
        files["init"] = Path(given.pop("init"))
    if no_metadata and label:
        raise SettingsError("--label is metadata: leave out --no-metadata")
    saving: dict[str, Any] = {"metadata": not no_metadata, "label_cn": label == "cn"}
    if bits is not None:
        saving["bits"] = bits

    made = None
    if recipe is not None:
        from impasto.style.recipe import read

        made = read(recipe)
        files = made.files(files, without="init" if "init" in given else "")
        given = made.settings | given
        saving["label_cn"] |= made.label_cn
    if "content" not in files or "style 1" not in files:
        raise SettingsError("name a picture and a style: impasto style CONTENT STYLE -o OUT")
    on_the_way = places.numbered(output.with_name(f"{output.stem}-"), output.suffix) if save_every else ()
    for place in (output, *on_the_way):  # again, for a recipe may name more files
        disk.check_apart(place, files.values(), overwrite=overwrite)

    from impasto.cli.paint import paint
    from impasto.style.stylize import Job, running

    def numbered(kind: str) -> list[Path]:
        return [files[role] for role in takewhile(files.__contains__, (f"{kind} {i}" for i in count(1)))]

    limits = {} if max_pixels is None else {"max_pixels": max_pixels}
    job = Job(
        files["content"],
        numbered("style"),
        masks=numbered("mask"),
        protect=files.get("protect"),
        init_from=files.get("init"),
        weights=weights,
        **limits,
    )
    settings = changed(Settings(), given)
    painted = paint(
        running(job, settings),
        output,
        long_side=settings.size or 1,
        loss_lines=settings.quality == "gatys",
        saving=saving,
        save_every=save_every,
        as_json=as_json,
    )
    if made is not None and (others := made.changed(painted.picture.recipe)):
        print(f"note: not the run that made {recipe}: other {', '.join(others)}", file=sys.stderr)
    if not as_json:
        print(f"{output}: {painted}" if sys.stdout.isatty() else output)
