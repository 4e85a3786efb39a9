"""`impasto sample`: pictures drawn by a trained model; `impasto inpaint`: pictures completed by one."""

import re
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import places
from impasto.cli.models import names
from impasto.cli.places import Overwrite
from impasto.cli.terminal import bar, settings
from impasto.configs import arguments
from impasto.errors import OutputError, SettingsError
from impasto.files import locked

if TYPE_CHECKING:
    from torch import Tensor

    from impasto.data.square import Square
    from impasto.training.contract import Given, Model

FRAMES = 120  # of an animation, at most

Which = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A run folder, or a name from `impasto models list`.", autocompletion=names),
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
    from impasto import models
    from impasto.media.grids import columns_for

    drawer = models.load(model, device)
    wanted = parse_labels(labels, drawer, model) if labels else None
    columns = len(wanted) if wanted is not None and 1 < len(wanted) < n else columns_for(n)
    recipe = {"model": model, "n": n, "labels": labels, "seed": seed, "film": film, **settings(options or ())}
    draw(drawer, n, output, columns, recipe, labels=wanted, seed=seed, options=options, film=film)


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
    import dataclasses

    import torch

    from impasto import models, provenance
    from impasto.media import picture
    from impasto.training.contract import Given

    drawer = models.load(model, device)
    view, size = view_of(model), drawer.config.size
    images = torch.cat([view.seen(path) for path in pictures])
    if mask is None:
        known = torch.zeros(1, 1, size, size, dtype=torch.bool)
        known[:, :, : size // 2] = True
    else:
        marked = picture.read(mask)  # as elsewhere: what is black or transparent stays
        alpha = 1 if marked.alpha is None else marked.alpha
        known = dataclasses.replace(view, channels=1).cut(marked.pixels * alpha) < 0.5
    given = Given(images.repeat_interleave(n, 0), known)
    wanted = parse_labels(labels, drawer, model).repeat_interleave(n) if labels else None
    recipe = {"model": model, "n": n, "labels": labels, "seed": seed, **settings(options or ())}
    sources = [provenance.source(path) for path in (*pictures, *([] if mask is None else [mask]))]
    draw(drawer, n * len(images), output, n, recipe, labels=wanted, seed=seed, options=options, given=given, of=sources)


def draw(
    drawer: "Model",
    n: int,
    output: Path,
    columns: int,
    recipe: dict[str, Any],
    *,
    labels: "Tensor | None",
    seed: int,
    options: list[str] | None,
    given: "Given | None" = None,
    film: int | None = None,
    of: list[dict[str, str]] | None = None,
) -> None:
    """Draw with a bar, and write what the name of `output` asks for; with `film`, so many moments of each picture.

    `of` says which pictures are completed, as `provenance.source` does.
    """
    import torch

    from impasto import models, provenance
    from impasto.device import seeded
    from impasto.media import animation, picture
    from impasto.media.grids import grid
    from impasto.media.picture import Picture

    moving, folder = output.suffix.lower() in animation.FORMATS, output.suffix == ""
    if not (moving or folder):
        picture.check_writable(output)
    elif film:
        raise SettingsError(f"--film is a picture, such as film.png, not {output}; leave out the one or the other")
    if folder and output.is_dir() and any(output.iterdir()):
        raise OutputError(f"{output} is not empty: its files would lie among the new ones; name another folder")
    start, frames, moments, pictures = time.perf_counter(), [], [], torch.empty(0)
    sampling = drawer.sampling(
        n,
        labels=labels,
        given=given,
        generator=seeded(seed),
        **sampler_options(drawer, options or ()),
    )
    alone = locked(output) if folder else nullcontext()
    with alone, torch.no_grad(), bar() as show:
        for step, pictures in enumerate(sampling, 1):
            show("drawing", step, 0)
            if moving:
                frames.append(grid(pictures.cpu(), columns))
            if film:
                moments.append(pictures.cpu())
    seconds = time.perf_counter() - start
    weights = {recipe["model"]: models.sha256_of(recipe["model"])}
    made = provenance.drawn_recipe("inpaint" if of else "sample", recipe, weights) | ({"content": of} if of else {})
    if moving:
        every = -(-len(frames) // FRAMES)
        animation.save([*frames[::every], frames[-1]], output, made)
    elif folder:
        output.mkdir(parents=True, exist_ok=True)
        for index, single in enumerate(pictures.cpu()):
            Picture(single.expand(1, 3, -1, -1).clone(), recipe=made).save(output / f"{index:05}.png")
    elif film:
        chosen = torch.linspace(0, len(moments) - 1, min(film, len(moments))).round().int().tolist()
        rows = torch.stack([moments[i] for i in chosen], 1).flatten(0, 1)
        Picture(grid(rows, len(chosen)), recipe=made).save(output)
    else:
        Picture(grid(pictures.cpu(), columns), recipe=made).save(output)
    print(f"{output}: {n} pictures in {seconds:.1f} s")


def parse_labels(text: str, drawer: "Model", model: str) -> "Tensor":
    """Classes from "7", "0-9" or "3,1,4", or from their names, such as "cat,dog".

    Where all names are numbers, numbers are names.

    Raises:
        SettingsError: not of that form, or a class that the model does not have.
    """
    import torch

    classes, found = drawer.config.classes, class_names(model, drawer)
    if not classes:
        raise SettingsError("this model was trained without classes; leave out --labels")
    numbers = found if found and all(name.isdecimal() for name in found) else [str(i) for i in range(classes)]
    by_name = {number: i for i, number in enumerate(numbers)} | {name: i for i, name in enumerate(found)}
    labels: list[int] = []
    for part in [text] if text in by_name else [part.strip() for part in text.split(",")]:
        if part in by_name:
            labels.append(by_name[part])
            continue
        if not re.fullmatch(r"\d{1,9}(-\d{1,9})?", part):
            raise SettingsError(f"--labels takes 7, or 0-9, or 3,1,4, or names ({', '.join(found)}), not {part!r}")
        first, *_, last = map(int, part.split("-") * 2)
        if not (first <= last and str(first) in by_name and last - first < classes and str(last) in by_name):
            raise SettingsError(f"--labels go from {numbers[0]} to {numbers[-1]}, not {text!r}")
        labels += [by_name[str(number)] for number in range(first, last + 1) if str(number) in by_name]
    return torch.tensor(labels)


def class_names(model: str, network: "Model") -> tuple[str, ...]:
    """The names of the classes that the `network` of the run or name `model` knows; none where it does not say."""
    from impasto import models
    from impasto.training import checkpoint

    found = checkpoint.read_config(models.find(model)).get("class_names")
    if not isinstance(found, list) or len(found) != network.config.classes:
        return ()
    return tuple(map(str, found))


def view_of(model: str) -> "Square":
    """How the run or bundled model of that name sees pictures."""
    from impasto import models
    from impasto.data.square import of_run
    from impasto.training import checkpoint

    return of_run(checkpoint.read_config(models.find(model)))


def sampler_options(drawer: "Model", given: "list[str] | tuple[str, ...]") -> dict[str, Any]:
    """The options of this family's `sampling`, read from text.

    Raises:
        SettingsError: an option that the family does not have, text that does not read, or a value out of range.
    """
    return arguments(drawer.sampling, settings(given), "setting of this sampler")
