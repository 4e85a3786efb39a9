"""`impasto style`: repaint a picture in the manner of others."""

import dataclasses
import sys
from collections.abc import Iterable
from itertools import count, takewhile
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from impasto.cli.styles import style_picture
from impasto.errors import SettingsError
from impasto.style.settings import COLOURS, QUALITIES, STARTS, Settings

EVERYDAY, REGIONS, METHOD, OUTPUT, MACHINE = "Everyday", "Colour and regions", "Method", "Output", "Machine"
DEFAULTS = {field.name: field.default for field in dataclasses.fields(Settings)}


def _option(panel: str, text: str, *names: str, **more: Any) -> Any:
    """An option. Not given, it is None, and whoever it is for has the default."""
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **more)


def _setting(panel: str, field: str, text: str, *names: str, choices: Iterable[str] = (), **more: Any) -> Any:
    """An option for a field of Settings; its help ends with the choices and the field's own default."""
    if choices:
        text = f"{text}: {', '.join(choices)}"
        more["autocompletion"] = lambda: list(choices)
    if DEFAULTS[field] is not None:
        text += f" (default {DEFAULTS[field]})"
    return _option(panel, text, *names, **more)


def style(
    context: typer.Context,
    output: Annotated[
        Path, _option(EVERYDAY, "The picture to write: .png, .jpg, .webp or .tif", "-o", "--output", metavar="OUT")
    ],
    content: Annotated[Path | None, typer.Argument(metavar="CONTENT", help="The picture to repaint.")] = None,
    styles: Annotated[
        list[str] | None,
        typer.Argument(metavar="STYLE", help="The picture that shows how; several blend. A file, or a bundled style."),
    ] = None,
    quality: Annotated[
        str | None, _setting(EVERYDAY, "quality", "How much work", metavar="NAME", choices=QUALITIES)
    ] = None,
    size: Annotated[
        int | None,
        _setting(EVERYDAY, "size", "Long side in pixels (default the content's own, at most 1024)", metavar="PX"),
    ] = None,
    strength: Annotated[
        float | None, _setting(EVERYDAY, "strength", "Of the style; 0 gives the content back", metavar="X")
    ] = None,
    style_scale: Annotated[
        float | None, _setting(EVERYDAY, "style_scale", "Brush size; 2 is twice as broad", metavar="X")
    ] = None,
    style_weight: Annotated[
        list[float] | None, _option(EVERYDAY, "Share of a style, once per STYLE (default equal)", metavar="W")
    ] = None,
    recipe: Annotated[
        Path | None,
        _option(
            EVERYDAY,
            "Repeat the run that made this picture. Its inputs are looked for beside it and in this folder; "
            "other options override its settings; give --bits 16 again",
            metavar="FILE",
        ),
    ] = None,
    colour: Annotated[
        str | None,
        _setting(
            REGIONS,
            "colour",
            "The style's colours, or in one of three ways the content's",
            "--colour",
            "--color",
            metavar="MODE",
            choices=COLOURS,
        ),
    ] = None,
    mask: Annotated[
        list[Path] | None, _option(REGIONS, "Where a style goes (white), once per STYLE", metavar="FILE")
    ] = None,
    protect: Annotated[Path | None, _option(REGIONS, "What stays as it is (white)", metavar="FILE")] = None,
    start: Annotated[
        str | None,
        _setting(
            METHOD, "start", "Where the optimiser starts, a picture FILE or one of", metavar="WHAT", choices=STARTS
        ),
    ] = None,
    seed: Annotated[int | None, _setting(METHOD, "seed", "Of the noise at the start", metavar="N")] = None,
    network: Annotated[
        str | None, _setting(METHOD, "network", "What looks at the pictures: compact or vgg19", metavar="NAME")
    ] = None,
    style_layers: Annotated[
        str | None, _setting(METHOD, "style_layers", "Where style is measured", metavar="A,B")
    ] = None,
    content_layers: Annotated[
        str | None, _setting(METHOD, "content_layers", "Where content is measured", metavar="A,B")
    ] = None,
    style_loss: Annotated[
        str | None, _setting(METHOD, "style_loss", "gram, moments or wasserstein", metavar="NAME")
    ] = None,
    content_weight: Annotated[
        float | None, _setting(METHOD, "content_weight", "Of the content loss", metavar="W")
    ] = None,
    variation_weight: Annotated[
        float | None,
        _setting(
            METHOD,
            "variation_weight",
            "Of the total variation; more is smoother",
            "--variation-weight",
            "--tv-weight",
            metavar="W",
        ),
    ] = None,
    optimiser: Annotated[
        str | None, _setting(METHOD, "optimiser", "adam or lbfgs", "--optimiser", "--optimizer", metavar="NAME")
    ] = None,
    steps: Annotated[
        int | None, _setting(METHOD, "steps", "At the smallest scale; the others keep their proportion", metavar="N")
    ] = None,
    pooling: Annotated[str | None, _setting(METHOD, "pooling", "Of VGG-19: max or average", metavar="NAME")] = None,
    bits: Annotated[int | None, _option(OUTPUT, "Per channel, 8 or 16; 16 for PNG and TIFF", metavar="N")] = None,
    label: Annotated[
        Literal["cn"] | None, _option(OUTPUT, "Also carry the label of GB 45438-2025", metavar="cn")
    ] = None,
    no_metadata: Annotated[bool, _option(OUTPUT, "Leave out recipe and labels", "--no-metadata")] = False,
    save_every: Annotated[
        int | None,
        _option(OUTPUT, "Also write the picture every N steps, as OUT with the step in its name", metavar="N", min=1),
    ] = None,
    as_json: Annotated[bool, _option(OUTPUT, "A JSON object per step, and one at the end", "--json")] = False,
    device: Annotated[
        str | None, _setting(MACHINE, "device", "cpu, cuda, cuda:1, mps, or auto for the fastest", metavar="NAME")
    ] = None,
    precision: Annotated[
        str | None,
        _setting(MACHINE, "precision", "float32, or auto for bfloat16 where the processor has it", metavar="NAME"),
    ] = None,
    memory: Annotated[
        float | None, _setting(MACHINE, "memory", "To use at most (default 3.5, or 70 % of the free)", metavar="GB")
    ] = None,
    tile: Annotated[
        int | None, _setting(MACHINE, "tile", "Side of the tiles in pixels (default as memory allows)", metavar="PX")
    ] = None,
    weights: Annotated[
        Path | None, _option(MACHINE, "VGG-19 from this file instead of the fetched one", metavar="FILE")
    ] = None,
    max_pixels: Annotated[
        int | None, _option(MACHINE, "Refuse input pictures with more pixels", metavar="N", min=1)
    ] = None,
) -> None:
    """Repaint CONTENT in the manner of STYLE.

    impasto style photo.jpg swirl -o out.png
    """
    given = {name: value for name in DEFAULTS if (value := context.params.get(name)) is not None}
    if style_weight:
        given["style_weights"] = tuple(style_weight)
    given |= {name: tuple(given[name].split(",")) for name in ("style_layers", "content_layers") if name in given}
    files = {f"style {i}": style_picture(name) for i, name in enumerate(styles or (), 1)}
    files |= {f"mask {i}": file for i, file in enumerate(mask or (), 1)}
    files |= {role: file for role, file in (("content", content), ("protect", protect)) if file is not None}
    if start is not None and start not in STARTS:
        files["start"] = Path(given.pop("start"))
    if no_metadata and label:
        raise SettingsError("--label is metadata: leave out --no-metadata")
    saving: dict[str, Any] = {"metadata": not no_metadata, "label_cn": label == "cn"}
    if bits is not None:
        saving["bits"] = bits

    made = None
    if recipe is not None:
        from impasto.cli.recipe import read

        made = read(recipe)
        files = made.files(files, without="start" if "start" in given else "")
        given = made.settings | given
        saving["label_cn"] |= made.label_cn
    if "content" not in files or "style 1" not in files:
        raise SettingsError("name a picture and a style: impasto style CONTENT STYLE -o OUT")

    from impasto.cli.paint import paint
    from impasto.style.stylize import Job

    def numbered(kind: str) -> list[Path]:
        return [files[role] for role in takewhile(files.__contains__, (f"{kind} {i}" for i in count(1)))]

    limits = {} if max_pixels is None else {"max_pixels": max_pixels}
    job = Job(
        files["content"],
        numbered("style"),
        masks=numbered("mask"),
        protect=files.get("protect"),
        start_from=files.get("start"),
        weights=weights,
        **limits,
    )
    painted = paint(job, Settings(**given), output, saving=saving, save_every=save_every, as_json=as_json)
    if made is not None and (changed := made.changed(painted.picture.recipe)):
        print(f"note: not the run that made {recipe}: other {', '.join(changed)}", file=sys.stderr)
    if not as_json:
        print(f"{output}: {painted}" if sys.stdout.isatty() else output)
