"""`impasto models list`: the trained models that come with Impasto."""

import json
from typing import Any

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
        figures = json.loads((folder / "figures.json").read_text())
        table.add_row(name, made["family"], f"{made['parameters']:,}", "; ".join(_figures(figures)))
    Console().print(table)


def _figures(figures: dict[str, Any]) -> list[str]:
    said = []
    if "accuracy" in figures:
        said.append(f"accuracy {figures['accuracy']:.2%}")
    for name in ("likelihood dynamic", "likelihood levels"):
        if found := figures.get(name):
            at_most = "≤ " if found["kind"] == "bound" else ""
            said.append(f"{at_most}{found['nats']:.2f} nats ({found['bits_per_dim']:.3f} bits/dim)")
    if samples := figures.get("samples"):
        said.append(f"Fréchet distance {samples['frechet']:.2f} (floor {samples['floor']:.2f})")
    return said
