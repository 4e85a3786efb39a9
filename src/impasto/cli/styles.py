"""`impasto styles`: the style pictures that come with Impasto."""

from impasto.style.bundled import BUNDLED


def styles() -> None:
    """List the bundled style pictures. Their names work wherever a style picture is asked for."""
    for name, path in BUNDLED.items():
        print(f"{name:8} {path}")
