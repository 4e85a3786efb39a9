"""`impasto replay`: how what a run draws became better, as an animation."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli import places
from impasto.errors import ModelError


def replay(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The animation, a .gif or .mp4.", metavar="OUT"), places.CLIP
    ],
    fps: Annotated[float, typer.Option(help="Sheets per second.", min=0.1, max=100, metavar="N")] = 6,
) -> None:
    """Show the samples of a training one after the other: the same latents all along, the same noise.

    impasto train gan --data mnist --quick --set report_every=50

    impasto replay runs/gan-mnist -o learning.gif
    """
    from impasto.media import animation, picture
    from impasto.media.inspect import inspect

    sheets = sorted((run / "samples").glob("step-*.png"))
    if not sheets:
        raise ModelError(f"{run} has no samples of a training: it is no run, or of a family that draws nothing")
    recipe = inspect(sheets[-1])["recipe"]
    if recipe is None:
        raise ModelError(f"{sheets[-1]} does not say what drew it; it is not as the training wrote it")
    animation.save([picture.read(sheet).pixels for sheet in sheets], output, recipe, fps)
    print(f"{output}: {len(sheets)} sheets, to step {int(sheets[-1].stem.removeprefix('step-'))}")
