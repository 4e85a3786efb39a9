"""`impasto demo`: a first picture, from what is already on the disk."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.bundled import STYLES, style_picture
from impasto.cli import places
from impasto.errors import PictureError

FREEDOM = 0.7  # bolder than the default
# What scikit-image carries inside its wheel; its other pictures would be downloaded.
PHOTOS = {"astronaut": "astronaut.png", "chelsea": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}


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
    if photo not in PHOTOS:
        raise PictureError(f"there is no photograph {photo!r}; there are {', '.join(PHOTOS)}")
    style_file = style_picture(style)

    from importlib.resources import as_file, files

    from impasto.cli.paint import paint
    from impasto.style.stylize import Job, running

    with as_file(files("skimage.data") / PHOTOS[photo]) as content:
        painted = paint(running(Job(content, [style_file]), settings), output)
    print(f"{output}: {photo} in the style of {style}, {painted}")
