"""`impasto demo`: a first picture, from what is already on the disk."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.bundled import PHOTOS, STYLES, photograph, style_picture
from impasto.cli import places

FREEDOM = 0.7  # bolder than the default


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where the picture goes.", metavar="OUT"), places.PICTURE
    ] = Path("impasto-demo.png"),
    photo: Annotated[
        str, typer.Option(metavar="NAME", help=f"One of {', '.join(PHOTOS)}.", autocompletion=lambda: [*PHOTOS])
    ] = "rocket",
    style: Annotated[
        str, typer.Option(metavar="STYLE", help=f"One of {', '.join(STYLES)}.", autocompletion=lambda: [*STYLES])
    ] = "swirl",
    size: Annotated[int, typer.Option(metavar="PX", help="Long side in pixels.")] = 640,
) -> None:
    """Repaint a photograph from scikit-image in a bundled style. Nothing is downloaded.

    impasto demo --photo chelsea --style mosaic -o cat.png
    """
    from impasto.style.settings import Settings

    settings = Settings(size=size, freedom=FREEDOM)
    content, style_file = photograph(photo), style_picture(style)

    from impasto.cli.paint import paint
    from impasto.style.stylize import Job, running

    painted = paint(running(Job(content, [style_file]), settings), output)
    print(f"{output}: {photo} in the style of {style}, {painted}")
