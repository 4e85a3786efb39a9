"""`impasto models list`: the trained models that come with Impasto."""

import json

import typer

from impasto import bundled

app = typer.Typer(help="List the trained models that come with Impasto.")


@app.callback()
def models() -> None:
    """The trained models that come with Impasto."""


@app.command("list")
def list_models() -> None:
    """List the bundled models with their figures. Their names work wherever a model is asked for."""
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "family", "parameters", "figures", box=None)
    for name, folder in bundled.models().items():
        made = json.loads((folder / "config.json").read_text())
        figures = "; ".join(bundled.in_brief(bundled.figures(name)))
        table.add_row(name, made["family"], f"{made['parameters']:,}", figures)
    Console().print(table)
