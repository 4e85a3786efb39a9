"""`impasto evaluate`: honest figures of one model; `impasto compare`: several side by side."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto import bundled
from impasto.cli import places
from impasto.cli.sample import Seed, Which, sampler_options
from impasto.cli.terminal import bar
from impasto.data import NAMES
from impasto.errors import ModelError, SettingsError

if TYPE_CHECKING:
    from impasto.models.library import Trained

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
        autocompletion=bundled.model_names,
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
    from impasto.models.library import trained

    figures = measured(
        trained(model, device),
        data,
        n,
        held_out,
        classifier,
        seed,
        options,
        data_dir,
        device,
        pictures,
        shown=not as_json,
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
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A picture: a row of samples each.", metavar="OUT"), places.PICTURE
    ],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL...]",
            help="Run folders, or names from `impasto models list`, to measure; none: all of those, as they are.",
            autocompletion=bundled.model_names,
        ),
    ] = None,
    data: DataName = None,
    n: Number = 10_000,
    held_out: HeldOut = None,
    classifier: Judge = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps, or auto.", metavar="NAME")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Put models side by side: one picture, and one table with seconds and megabytes.

    Those that are named are measured on the test set, as `impasto evaluate` does.

    impasto compare -o bundled.png

    impasto compare mnist-gan mnist-vae -o rows.png -n 1000
    """
    from impasto.models.drawing import Glance, comparison, glances
    from impasto.models.library import trained
    from impasto.training.contract import Draws

    loaded = [trained(name, device) for name in models or bundled.models()]
    if models:
        if data is None and len(trained_on := {model.learned_from for model in loaded}) > 1:
            raise SettingsError(f"these were trained on {', '.join(sorted(trained_on))}; name one test set with --data")
        table = [
            measured(model, data, n, held_out, classifier, seed, None, data_dir, device, None, shown=not as_json)
            for model in loaded
        ]
    else:
        table = [bundled.figures(name) for name in bundled.models()]
    glanced: list[Glance] = []
    drawing = [model for model in loaded if isinstance(model.model, Draws)]
    with bar(shown=not as_json) as progress:
        for glanced in glances(drawing, seed=seed):
            progress(glanced[-1].name, len(glanced), len(drawing))
    if glanced:
        comparison(glanced, seed=seed).save(output)
    known = {glance.name: glance for glance in glanced}
    for model, figures in zip(loaded, table, strict=True):
        glance = known.get(model.name)
        figures |= {"family": model.family, "megabytes": model.megabytes, "seconds": glance and glance.seconds}
    if as_json:
        print(json.dumps(table))
    elif models:
        show(table)
    else:
        show_briefly(table)


def measured(
    model: "Trained",
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
    from impasto.errors import warn
    from impasto.evaluation import classification
    from impasto.evaluation.evaluate import evaluating
    from impasto.files import replacing
    from impasto.models.cnn import CNN
    from impasto.models.library import trained

    data = data or model.learned_from
    test = model.load_data(data, "test", data_dir)
    base: dict[str, Any] = {"model": model.name, "data": data, "sha256": model.sha256, "seed": seed}
    if isinstance(model.model, CNN):
        probabilities, labels = classification.predictions(model.model, test)
        counts = classification.confusion(probabilities, labels)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            with replacing(pictures / "confusion.png") as part:
                classification.draw_confusion(counts, test.class_names, part)
            with replacing(pictures / "mistakes.png") as part:
                classification.draw_mistakes(test, probabilities, labels, part)
        return base | {"accuracy": (counts.trace() / counts.sum()).item()}
    if pictures is not None:
        raise ModelError(f"{model.name} is no classifier; leave out --pictures")
    judge_name = classifier or f"{data}-cnn"
    if classifier is None and judge_name not in bundled.models():
        raise ModelError(f"no classifier of {data} is bundled; train one (impasto train cnn), and name it --classifier")
    judge = trained(judge_name, device)
    its = judge.model.config
    if not isinstance(judge.model, CNN) or (its.size, its.channels) != (test.size, test.channels):
        raise ModelError(f"{judge_name} is no classifier of such pictures; name one with --classifier")
    its_classes = judge.class_names
    if its_classes and test.class_names and set(its_classes) != set(test.class_names):
        warn(f"{judge_name} judges pictures of other classes than it knows: {', '.join(its_classes)}")
    train = model.load_data(data, "train", data_dir)
    figures: dict[str, Any] = {}
    read = sampler_options(model, options)
    with bar(shown) as progress:
        for step in evaluating(
            model.model, test, classifier=judge.model, train=train, n=n, held_out=held_out, seed=seed, options=read
        ):
            progress(step.what, step.done, step.total)
            figures = step.figures
    if model.model.config.classes and its_classes != model.class_names:  # a class by its number is another
        figures["samples"]["accuracy"] = None
    figures["samples"]["judge"] = f"{judge_name}, SHA-256 {judge.sha256[:12]}"
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


def show_briefly(table: list[dict[str, Any]]) -> None:
    """A table with a row for each model."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table("name", "family", "MB", "seconds a picture", "figures", box=None)
    for figures in table:
        seconds = "" if figures["seconds"] is None else f"{figures['seconds']:.2g}"
        brief = "; ".join(bundled.in_brief(figures))
        drawn.add_row(figures["model"], figures["family"], f"{figures['megabytes']:.1f}", seconds, brief)
    Console().print(drawn)


def _lines(figures: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [("data", figures["data"])]
    if "megabytes" in figures:
        lines.append(("megabytes of weights", f"{figures['megabytes']:.1f}"))
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
