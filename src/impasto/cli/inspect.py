"""`impasto inspect`: the recipe and the AI-content labels that a picture, a clip or a sound carries."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli.terminal import one_line


def inspect(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Pictures, clips, sounds, made by Impasto or not.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per file and line.")] = False,
) -> None:
    """Show how a picture, clip or sound was made, and the labels that say an AI had a hand in it.

    impasto inspect out.png
    """
    from impasto import provenance

    for file in files:
        found = provenance.inspect(file)
        if as_json:
            print(json.dumps({"file": str(file), **found}))
        else:
            _show(file, found)


def _show(file: Path, found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = rows_of(found)
    table = Table("", "", box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in rows:
        table.add_row(Text(name, "bold"), Text(value, overflow="fold"))
    print(f"{file}{'' if rows else ': no recipe and no labels'}")
    Console().print(table)


def rows_of(found: dict[str, Any]) -> list[tuple[str, str]]:
    """What `provenance.inspect` found, as lines of a name and a value."""
    rows = [*_rows("", found["recipe"] or {}), *_rows("label", found["labels"])]
    return [(one_line(name), one_line(value)) for name, value in rows]


def _rows(name: str, value: Any, depth: int = 3) -> Iterator[tuple[str, Any]]:
    """Name and value of each entry, with those of nested ones behind their parent's: "settings quality", "fine"."""
    if isinstance(value, dict) and depth:
        for key, inner in value.items():
            yield from _rows(f"{name} {key}".strip(), inner, depth - 1)
    elif isinstance(value, list) and depth and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value, 1):
            yield from _rows(f"{name} {number}", inner, depth - 1)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)
