"""`impasto weights list|fetch|path`: the weight files of the networks."""

from typing import Annotated

import typer

from impasto import weights

app = typer.Typer(help="List, fetch or find the weight files of the networks.")
Name = Annotated[
    str,
    typer.Argument(
        help="As `impasto weights list` shows it.", metavar="NAME", autocompletion=lambda: [*weights.REGISTRY]
    ),
]


@app.command("list")
def list_files() -> None:
    """List every weight file: size, licence, and where it lies or will lie."""
    from rich.filesize import decimal

    for file in weights.listing():
        here = "here" if file.present else "not fetched yet"
        print(f"{file.name}: {file.what}\n    {decimal(file.size)}, {file.licence}, {here}\n    {file.where}")


@app.command()
def fetch(name: Name) -> None:
    """Make sure that a weight file is here, downloading it if need be, and print its path.

    impasto weights fetch vgg19
    """
    print(weights.fetch(name))


@app.command()
def path(name: Name) -> None:
    """Print where a weight file lies, or will lie once it is fetched. Nothing is downloaded.

    impasto weights path vgg19
    """
    print(weights.where(name))
