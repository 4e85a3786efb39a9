"""`impasto evaluate`: honest figures of one model; `impasto compare`: several side by side."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli import places
from impasto.cli.models import names
from impasto.cli.sample import Which
from impasto.cli.terminal import bar
from impasto.data import NAMES

DataName = Annotated[
    str,
    typer.Option("--data", help=f"The test set: {', '.join(NAMES)}.", metavar="NAME", autocompletion=lambda: [*NAMES]),
]
DataDir = Annotated[
    Path | None, typer.Option(help="Where the data sets lie (default IMPASTO_DATA, or the cache).", metavar="DIR")
]
Judge = Annotated[
    str | None,
    typer.Option(
        help="The classifier whose features measure distances (default DATA-cnn).",
        metavar="MODEL",
        autocompletion=names,
    ),
]
Number = Annotated[int, typer.Option("-n", help="Samples to judge.", min=100, metavar="N")]


HeldOut = Annotated[
    int | None, typer.Option(help="Test pictures for the likelihood, the first N (default all).", min=2, metavar="N")
]


def evaluate(
    model: Which,
    data: DataName = "mnist",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Also write the figures as JSON.", metavar="FILE"), places.FILE
    ] = None,
    n: Number = 10_000,
    held_out: HeldOut = None,
    classifier: Judge = None,
    seed: Annotated[int, typer.Option(help="Of the samples.", metavar="N")] = 0,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting of this family's sampler, such as steps=20; may be repeated.", metavar="NAME=VALUE"
        ),
    ] = None,
    data_dir: DataDir = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
    pictures: Annotated[
        Path | None,
        typer.Option(help="Of a classifier: also draw its confusion matrix and worst mistakes here.", metavar="DIR"),
        places.FOLDER,
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Measure a model on the test set: likelihood, and how near its samples come to real pictures.

    A classifier is asked for its accuracy instead.

    impasto evaluate runs/vae-mnist --data mnist -o figures.json
    """
    figures = measured(
        model, data, n, held_out, classifier, seed, options, data_dir, device, pictures, shown=not as_json
    )
    if output is not None:
        from impasto.files import replacing

        with replacing(output) as part:
            part.write_text(json.dumps(figures, indent=1) + "\n")
    if as_json:
        print(json.dumps(figures))
    else:
        show([figures])


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...", help="Run folders, or names from `impasto models list`.", autocompletion=names
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A picture: a row of samples each.", metavar="OUT"), places.PICTURE
    ],
    data: DataName = "mnist",
    n: Number = 10_000,
    held_out: HeldOut = None,
    classifier: Judge = None,
    seed: Annotated[int, typer.Option(help="Of the samples.", metavar="N")] = 0,
    data_dir: DataDir = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Put models side by side: one table, one picture.

    impasto compare mnist-gan mnist-vae -o rows.png -n 1000
    """
    import torch

    from impasto import models as families
    from impasto.evaluation.grids import grid
    from impasto.picture import Picture

    table, rows = [], []
    for name in models:
        table.append(
            measured(name, data, n, held_out, classifier, seed, None, data_dir, device, None, shown=not as_json)
        )
        drawer = families.load(name, device)
        if table[-1].get("samples"):
            labels = torch.arange(10) % drawer.config.classes if drawer.config.classes else None
            rows.append(drawer.sample(10, labels=labels, generator=torch.Generator().manual_seed(seed)).cpu())
    if rows:
        Picture(grid(torch.cat(rows), 10)).save(output)
    if as_json:
        print(json.dumps(table))
    else:
        show(table)


def measured(
    name: str,
    data: str,
    n: int,
    held_out: int | None,
    classifier: str | None,
    seed: int,
    options: list[str] | None,
    data_dir: Path | None,
    device: str,
    pictures: Path | None,
    shown: bool,
) -> dict[str, Any]:
    """The figures of one model."""
    import impasto.data
    from impasto import models
    from impasto.cli.sample import sampler_options
    from impasto.errors import ModelError
    from impasto.evaluation import classification
    from impasto.evaluation.evaluate import evaluating
    from impasto.files import replacing
    from impasto.models.cnn import CNN

    model = models.load(name, device)
    size = model.config.size
    test = impasto.data.load(data, "test", size=size, data_dir=data_dir)
    if (test.channels, test.size) != (model.config.channels, size):
        raise ModelError(
            f"{name} is for pictures of {model.config.channels} channels and {size} pixels, "
            f"{data} has {test.channels} and {test.size}"
        )
    base: dict[str, Any] = {"model": name, "data": data, "sha256": models.sha256_of(name), "seed": seed}
    if isinstance(model, CNN):
        probabilities, labels = classification.predictions(model, test)
        counts = classification.confusion(probabilities, labels)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            with replacing(pictures / "confusion.png") as part:
                classification.draw_confusion(counts, test.class_names, part)
            with replacing(pictures / "mistakes.png") as part:
                classification.draw_mistakes(test, probabilities, labels, part)
        return base | {"accuracy": (counts.trace() / counts.sum()).item()}
    if pictures is not None:
        raise ModelError(f"{name} is no classifier; leave out --pictures")
    judge_name = classifier or f"{data}-cnn"
    judge = models.load(judge_name, device)
    if not isinstance(judge, CNN) or judge.config.size != size or judge.config.channels != model.config.channels:
        raise ModelError(f"{judge_name} is no classifier of such pictures; name one with --classifier")
    train = impasto.data.load(data, "train", size=size, data_dir=data_dir)
    figures: dict[str, Any] = {}
    read = sampler_options(model, options or [])
    with bar(shown) as progress:
        for step in evaluating(
            model, test, classifier=judge, train=train, n=n, held_out=held_out, seed=seed, options=read
        ):
            progress(step.what, step.done, step.total)
            figures = step.figures
    figures["samples"]["judge"] = f"{judge_name}, SHA-256 {models.sha256_of(judge_name)[:12]}"
    return base | {"options": read} | figures


def show(table: list[dict[str, Any]]) -> None:
    """A table with a column for each model."""
    from rich.console import Console
    from rich.table import Table

    lines = [dict(_lines(figures)) for figures in table]
    drawn = Table("", *[figures["model"] for figures in table], box=None)
    for name in dict.fromkeys(name for column in lines for name in column):
        drawn.add_row(name, *[column.get(name, "") for column in lines])
    Console().print(drawn)


def _lines(figures: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [("data", figures["data"])]
    if "accuracy" in figures:
        lines.append(("accuracy", f"{figures['accuracy']:.2%}"))
    for name, found in figures.items():
        if name.startswith("likelihood"):
            protocol = name.removeprefix("likelihood ")
            lines.append(
                (
                    f"nats, {protocol} ({found['kind']}, {found['pictures']} pictures)",
                    f"{found['nats']:.2f} ± {found['error']:.2f}",
                )
            )
            lines.append((f"bits/dim, {protocol}", f"{found['bits_per_dim']:.4f}"))
    if samples := figures.get("samples"):
        lines += [
            (f"Fréchet distance, {samples['n']} samples", f"{samples['frechet']:.2f}"),
            ("  floor: training pictures", f"{samples['floor']:.2f}"),
            ("  judge (not Inception)", samples["judge"]),
            ("precision", f"{samples['precision']:.3f}"),
            ("recall", f"{samples['recall']:.3f}"),
            ("diversity (real pictures: 1)", f"{samples['diversity']:.3f}"),
            ("classes from to", f"{min(samples['shares']):.1%} to {max(samples['shares']):.1%}"),
            ("seconds a sample", f"{samples['seconds each']:.4f}"),
        ]
        if samples["accuracy"] is not None:
            lines.append(("shows the class asked for", f"{samples['accuracy']:.2%}"))
    return lines
