"""`impasto sample`: pictures drawn by a trained model; `impasto inpaint`: pictures completed by one."""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto import bundled
from impasto.cli import places
from impasto.cli.places import Overwrite
from impasto.cli.terminal import bar, settings
from impasto.configs import arguments
from impasto.errors import OutputError, SettingsError
from impasto.files import locked

if TYPE_CHECKING:
    from impasto.models.drawing import Progress
    from impasto.models.library import Trained

Which = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A run folder, or a name from `impasto models list`.",
        autocompletion=bundled.model_names,
    ),
]
Labels = Annotated[
    str | None, typer.Option(help="Classes to draw: 7, or 0-9, or 3,1,4, or names: cat,dog.", metavar="L")
]
Seed = Annotated[
    int,
    typer.Option(
        help="Of the random numbers; the same seed draws the same pictures.", min=0, max=2**63 - 1, metavar="N"
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="A setting of this family's sampler, such as steps=20; may be repeated.", metavar="NAME=VALUE"
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        help="A picture (the grid), a .gif or .mp4 (how it takes shape), or a folder (a PNG each).",
        metavar="OUT",
    ),
    places.DRAWING,
]


def sample(
    model: Which,
    output: Output,
    n: Annotated[int, typer.Option("-n", help="How many.", min=1, max=10**6, metavar="N")] = 25,
    labels: Labels = None,
    seed: Seed = 0,
    options: Options = None,
    film: Annotated[
        int | None,
        typer.Option(help="Instead of the grid: a row for each picture, of N moments.", min=2, max=10**4, metavar="N"),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
) -> None:
    """Draw pictures with a trained model.

    impasto sample mnist-gan -n 25 -o grid.png

    impasto sample mnist-diffusion -n 20 --labels 0-9 --set steps=10 -o digits.gif
    """
    from impasto.models import drawing, library

    drawer = library.trained(model, device)
    read = sampler_options(drawer, options)
    _show(drawing.drawing(drawer, n, labels=labels, seed=seed, film=film, **read), n, output, film)


def inpaint(
    model: Which,
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE...", help="Pictures with a part to be drawn.")],
    output: Output,
    mask: Annotated[
        Path | None,
        typer.Option(help="Picture that is white where to draw anew (default the lower half).", metavar="FILE"),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Completions of each picture.", min=1, max=10**6, metavar="N")] = 5,
    labels: Labels = None,
    seed: Seed = 0,
    options: Options = None,
    overwrite: Overwrite = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
) -> None:
    """Complete pictures: the known part stays, the rest is drawn. A row for each.

    impasto inpaint mnist-pixelcnn seven.png -o completed.png
    """
    from impasto.models import drawing, library

    drawer = library.trained(model, device)
    read = sampler_options(drawer, options)
    steps = drawing.inpainting(drawer, pictures, mask, n, labels=labels, seed=seed, **read)
    _show(steps, n * len(pictures), output)


def _show(steps: "Iterator[Progress]", n: int, output: Path, film: int | None = None) -> None:
    """Draw with a bar, and write what the name of `output` asks for."""
    from impasto.media import animation, picture

    moving, folder = output.suffix.lower() in animation.FORMATS, output.suffix == ""
    if not (moving or folder):
        picture.check_writable(output)
    elif film:
        raise SettingsError(f"--film is a picture, such as film.png, not {output}; leave out the one or the other")
    if folder and output.is_dir() and any(output.iterdir()):
        raise OutputError(f"{output} is not empty: its files would lie among the new ones; name another folder")
    start, frames = time.perf_counter(), []
    with locked(output) if folder else nullcontext(), bar() as show:
        for now in steps:
            show("drawing", now.step, 0)
            if moving:
                frames.append(now.result().pixels)
    seconds = time.perf_counter() - start
    if moving:
        animation.save(frames, output, now.recipe)
    elif folder:
        output.mkdir(parents=True, exist_ok=True)
        for index, single in enumerate(now.singles()):
            single.save(output / f"{index:05}.png")
    else:
        now.result().save(output)
    print(f"{output}: {n} pictures in {seconds:.1f} s")


def sampler_options(drawer: "Trained", given: "list[str] | None") -> dict[str, Any]:
    """The options of this family's `sampling`, as text that it reads.

    Raises:
        ModelError: the family does not draw.
        SettingsError: an option that it does not have, text that does not read, or a value out of range.
    """
    from impasto.training.contract import sampler

    read = settings(given or ())
    arguments(sampler(drawer.model).sampling, read, "setting of this sampler")
    return read
