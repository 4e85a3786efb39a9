"""`impasto styles`: the style pictures that come with Impasto."""

from impasto.bundled import STYLES


def styles() -> None:
    """List the bundled style pictures. Their names work wherever a style picture is asked for."""
    for name, path in STYLES.items():
        print(f"{name:8} {path}")
