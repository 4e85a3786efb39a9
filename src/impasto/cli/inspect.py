"""`impasto inspect`: the recipe and the AI-content labels that a picture, a clip or a sound carries."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def inspect(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Pictures, clips, sounds, made by Impasto or not.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per file and line.")] = False,
) -> None:
    """Show how a picture, clip or sound was made, and the labels that say an AI had a hand in it.

    impasto inspect out.png
    """
    from impasto.media.inspect import inspect as inspected

    for file in files:
        found = inspected(file)
        if as_json:
            print(json.dumps({"file": str(file), **found}))
        else:
            _show(file, found)


def _show(file: Path, found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from impasto.media.inspect import rows

    lines = rows(found)
    table = Table("", "", box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in lines:
        table.add_row(Text(name, "bold"), Text(value, overflow="fold"))
    print(f"{file}{'' if lines else ': no recipe and no labels'}")
    Console().print(table)
