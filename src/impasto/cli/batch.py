"""`impasto batch`: many pictures, on all cores of this machine or on a Ray cluster."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from impasto import options
from impasto.bundled import STYLES
from impasto.cli import places, terminal
from impasto.cli.options import (
    EVERYDAY,
    MACHINE,
    OUTPUT,
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
)
from impasto.cli.terminal import Stopped
from impasto.errors import SettingsError, one_line, warn
from impasto.options import option
from impasto.style.settings import Settings

if TYPE_CHECKING:
    from impasto.batch.run import Engine, Progress

SOME_FAILED = 3  # exit code
LISTED = 20  # failures that are named at the end; the manifest has all


def batch(
    context: typer.Context,
    contents: Annotated[
        str,
        typer.Argument(
            metavar="CONTENTS",
            help='The pictures to repaint: a folder, a pattern in quotes ("in/*.jpg"), or a .csv file.',
        ),
    ],
    output: Annotated[
        Path,
        option(EVERYDAY, "The folder for the pictures and their manifest", "-o", "--output", metavar="OUT"),
        places.FOLDER,
    ],
    styles: Annotated[
        str | None,
        typer.Argument(
            metavar="STYLES",
            help="How: a folder, a pattern in quotes, or names with commas.",
            autocompletion=lambda: [*STYLES],
        ),
    ] = None,
    quality: Quality = None,
    size: Size = None,
    freedom: Freedom = None,
    strength: Strength = None,
    style_scale: StyleScale = None,
    colour: Colour = None,
    seed: Seed = None,
    settings: Annotated[
        list[str] | None,
        option(EVERYDAY, "Any other setting of impasto style, e.g. --set steps=50", "--set", metavar="NAME=VALUE"),
    ] = None,
    file_format: Annotated[
        Literal["png", "jpg", "webp", "tif"], typer.Option("--format", help="Of the files.", rich_help_panel=OUTPUT)
    ] = "png",
    label: Label = None,
    as_json: Annotated[bool, option(OUTPUT, "A JSON object per picture, and one at the end", "--json")] = False,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="This machine, or a Ray cluster.", rich_help_panel=MACHINE)
    ] = "local",
    address: Annotated[
        str | None, option(MACHINE, "Of the Ray cluster (default: one of this machine's cores)", metavar="HOST:PORT")
    ] = None,
    processes: Annotated[
        int | None,
        option(MACHINE, "At once on this machine (default one per GPU, or per core)", metavar="N", min=1, max=10_000),
    ] = None,
    device: Device = None,
    precision: Precision = None,
    memory: Memory = None,
) -> None:
    """Repaint every picture of CONTENTS in the manner of every one of STYLES.

    What is done is left out: the same command goes on where it was stopped. Ends with 3 where some pictures failed.

    A CSV file has a line per picture: columns content and style, perhaps mask, protect, output, and any setting.

    impasto batch photos paintings -o out --quality draft

    impasto batch jobs.csv -o out
    """
    if address is not None and engine != "ray":
        raise SettingsError("--address is for --engine ray")
    if processes is not None and engine == "ray":
        raise SettingsError("--processes is for --engine local; Ray's cores decide")
    from impasto import configs
    from impasto.batch import sheet
    from impasto.batch.run import running
    from impasto.batch.tasks import CONTENT_TYPES, crossed, pictures, read_csv

    chosen = configs.changed(Settings(**options.given(context.params, Settings)), terminal.settings(settings or ()))
    suffix = f".{file_format}"
    if contents.lower().endswith(".csv"):
        if styles is not None:
            raise SettingsError("a CSV file names the styles itself: leave out STYLES")
        tasks = read_csv(Path(contents), output, chosen, suffix, STYLES)
    else:
        if styles is None:
            raise SettingsError("name the styles, too: impasto batch CONTENTS STYLES -o OUT")
        names = [styles] if Path(styles).exists() else styles.split(",")
        styled = [file for name in names for file in _style_files(name, output)]
        tasks = crossed(pictures(contents, CONTENT_TYPES, output), styled, output, chosen, suffix)
    if label:
        tasks = [replace(task, label_cn=True) for task in tasks]

    at: Progress | None = None
    failures = []
    try:
        with terminal.bar(shown=not as_json) as bar:
            for at in running(tasks, output, _engine(engine, address, processes, chosen.device)):
                ready = at.skipped + at.done + at.failed
                bar(f"{ready} of {at.total}, {at.speed:.2g} pictures per second", ready, at.total)
                for said in (at.record or {}).get("warnings", ()):
                    warn(said)
                if as_json and at.record:
                    print(json.dumps(at.record), flush=True)
                if at.record and at.record["status"] == "failed":
                    failures.append(f"{at.record['output']}: {at.record['error']}")
    except KeyboardInterrupt:
        if at is None:
            raise
        raise Stopped(f"{at.skipped + at.done} of {at.total} pictures are done; the same command goes on") from None
    assert at is not None, "a batch begins with a record of what there is"
    drawn = sheet.draw(tasks, output)
    if as_json:
        end = {"output": str(output), "total": at.total, "skipped": at.skipped, "done": at.done, "failed": at.failed}
        print(json.dumps({**end, "seconds": round(at.seconds, 3)}))
    else:
        speed = f", {at.speed:.2g} pictures per second" if at.done else ""
        print(f"{output}: {at.done} painted, {at.skipped} were there already, {at.failed} failed{speed}")
        if drawn:
            print(drawn)
    for line in failures[:LISTED]:
        print(f"failed: {one_line(line)}", file=sys.stderr)
    if len(failures) > LISTED:
        print(f"and {len(failures) - LISTED} more: see the manifest", file=sys.stderr)
    if failures:
        raise typer.Exit(SOME_FAILED)


def _style_files(name: str, output: Path) -> list[Path]:
    """The style pictures that a bundled name, a folder, a pattern or a file means."""
    from impasto.batch.tasks import STYLE_TYPES, pictures

    return [STYLES[name]] if name in STYLES else pictures(name, STYLE_TYPES, output)


def _engine(name: str, address: str | None, processes: int | None, device: str) -> "Engine":
    from impasto.batch import cluster, local

    if name == "ray":
        return partial(cluster.run, address=address)
    return lambda tasks: local.run(tasks, local.layout(len(tasks), device, processes))
