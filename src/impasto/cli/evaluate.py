"""`impasto evaluate`: honest figures of one model; `impasto compare`: several side by side."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli import places
from impasto.cli.models import names
from impasto.cli.sample import Seed, Which
from impasto.cli.terminal import bar
from impasto.data import NAMES
from impasto.errors import ModelError, SettingsError

if TYPE_CHECKING:
    from impasto.data.dataset import Dataset
    from impasto.training.contract import Model

DataName = Annotated[
    str | None,
    typer.Option(
        "--data",
        help=f"The test set: {', '.join(NAMES)} (default that of what the model was trained on).",
        metavar="NAME",
        autocompletion=lambda: [*NAMES],
    ),
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
Number = Annotated[int, typer.Option("-n", help="Samples to judge.", min=100, max=10**9, metavar="N")]


HeldOut = Annotated[
    int | None,
    typer.Option(help="Test pictures for the likelihood, drawn evenly (default all).", min=2, max=10**9, metavar="N"),
]


def evaluate(
    model: Which,
    data: DataName = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Also write the figures as JSON.", metavar="OUT"), places.FILE
    ] = None,
    n: Number = 10_000,
    held_out: HeldOut = None,
    classifier: Judge = None,
    seed: Seed = 0,
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

    impasto evaluate runs/vae-mnist -o figures.json
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
    data: DataName = None,
    n: Number = 10_000,
    held_out: HeldOut = None,
    classifier: Judge = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Put models side by side: one table, one picture.

    impasto compare mnist-gan mnist-vae -o rows.png -n 1000
    """
    import torch

    from impasto import models as families
    from impasto import provenance
    from impasto.device import seeded
    from impasto.media.grids import grid
    from impasto.media.picture import Picture

    if data is None and len(trained_on := {test_set(name) for name in models}) > 1:
        raise SettingsError(f"these were trained on {', '.join(sorted(trained_on))}; name one test set with --data")
    table, rows = [], []
    weights: dict[str, str] = {}
    for name in models:
        table.append(
            measured(name, data, n, held_out, classifier, seed, None, data_dir, device, None, shown=not as_json)
        )
        drawer = families.load(name, device)
        if table[-1].get("samples"):
            labels = torch.arange(10) % drawer.config.classes if drawer.config.classes else None
            rows.append(drawer.sample(10, labels=labels, generator=seeded(seed)).cpu())
            weights[name] = families.sha256_of(name)
    if rows:
        recipe = provenance.drawn_recipe("compare", {"models": list(weights), "seed": seed}, weights)
        Picture(grid(torch.cat(rows), 10), recipe=recipe).save(output)
    if as_json:
        print(json.dumps(table))
    else:
        show(table)


def measured(
    name: str,
    data: str | None,
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
    from dataclasses import asdict

    import impasto.data
    from impasto import models
    from impasto.cli.sample import class_names, sampler_options, view_of
    from impasto.errors import warn
    from impasto.evaluation import classification
    from impasto.evaluation.evaluate import evaluating
    from impasto.files import replacing
    from impasto.models.cnn import CNN

    model = models.load(name, device)
    data = data or test_set(name)
    known = class_names(name, model)
    view: Any = asdict(view_of(name)) | {"class_names": known or None, "data_dir": data_dir}
    test = impasto.data.load(data, "test", **view)
    check_classes(name, model, test)
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
    if classifier is None and judge_name not in names():
        raise ModelError(f"no classifier of {data} is bundled; train one (impasto train cnn), and name it --classifier")
    judge = models.load(judge_name, device)
    if not isinstance(judge, CNN) or (judge.config.size, judge.config.channels) != (test.size, test.channels):
        raise ModelError(f"{judge_name} is no classifier of such pictures; name one with --classifier")
    its_classes = class_names(judge_name, judge)
    if its_classes and test.class_names and set(its_classes) != set(test.class_names):
        warn(f"{judge_name} judges pictures of other classes than it knows: {', '.join(its_classes)}")
    train = impasto.data.load(data, "train", **view)
    figures: dict[str, Any] = {}
    read = sampler_options(model, options or [])
    with bar(shown) as progress:
        for step in evaluating(
            model, test, classifier=judge, train=train, n=n, held_out=held_out, seed=seed, options=read
        ):
            progress(step.what, step.done, step.total)
            figures = step.figures
    if model.config.classes and its_classes != known:  # a class by its number is another
        figures["samples"]["accuracy"] = None
    figures["samples"]["judge"] = f"{judge_name}, SHA-256 {models.sha256_of(judge_name)[:12]}"
    return base | {"options": read} | figures


def test_set(name: str) -> str:
    """The data that a run learned from.

    Raises:
        ModelError: it does not say.
    """
    from impasto import models
    from impasto.training import checkpoint

    data = checkpoint.read_config(models.find(name)).get("data")
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise ModelError(f"{name} does not say what it was trained on; name a test set with --data")
    return str(data["name"])


def check_classes(name: str, model: "Model", data: "Dataset") -> None:
    """Refuse data whose classes are not those that the model was trained with, if it was.

    Raises:
        ModelError: none, others, or as many under other names.
    """
    from impasto.cli.sample import class_names

    wanted = class_names(name, model)
    if model.config.classes and (len(data.class_names) != model.config.classes or wanted not in ((), data.class_names)):
        knows, has = (", ".join(some) or "none" for some in (wanted, data.class_names))
        raise ModelError(f"{name} knows {model.config.classes} classes ({knows}), {data.name} has others: {has}")


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
            used = f"{found['kind']}, {_of(found['pictures'], found['of'], figures['seed'])}"
            lines.append((f"nats, {protocol} ({used})", f"{found['nats']:.2f} ± {found['error']:.2f}"))
            lines.append((f"bits/dim, {protocol}", f"{found['bits_per_dim']:.4f}"))
    if samples := figures.get("samples"):
        lines += [
            (f"Fréchet distance, {samples['n']} samples", f"{samples['frechet']:.2f}"),
            ("  from", _of(samples["real"], samples["of"], figures["seed"])),
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


def _of(used: int, there: int, seed: int) -> str:
    """How many test pictures a figure is of."""
    return f"{used} test pictures" if used == there else f"{used} of {there} test pictures, seed {seed}"
