"""What is at hand without a download: style pictures, trained models, weights, and the photographs of scikit-image."""

import json
from pathlib import Path
from typing import Any

from impasto.errors import PictureError

ASSETS = Path(__file__).parent / "assets"
STYLES = {path.stem: path for path in sorted((ASSETS / "styles").glob("*.jpg"))}  # drawn by tools/draw_styles.py
# What scikit-image carries inside its wheel; its other pictures would be downloaded.
PHOTOS = {"astronaut": "astronaut.png", "chelsea": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}


def models() -> dict[str, Path]:
    """The folders of the trained models, by name."""
    return {folder.name: folder for folder in sorted((ASSETS / "models").glob("*")) if folder.is_dir()}


def model_names() -> list[str]:
    """The names of the trained models, for the shell to complete."""
    return [*models()]


def figures(name: str) -> dict[str, Any]:
    """What `impasto evaluate` has said of a trained model."""
    found: dict[str, Any] = json.loads((models()[name] / "figures.json").read_text())
    return found


def in_brief(figures: dict[str, Any]) -> list[str]:
    """The figures of a model, as `impasto evaluate` gives them, in few words."""
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


def style_picture(given: str) -> Path:
    """The file that a user means: a picture file, or the name of a bundled style.

    Raises:
        PictureError: neither; the message lists the bundled styles.
    """
    path = Path(given)
    if path.exists() or path.suffix:  # what looks like a file is left to whoever reads it
        return path
    if given not in STYLES:
        raise PictureError(f"{given} is no file, and no bundled style; those are {', '.join(STYLES)}")
    return STYLES[given]


def photograph(name: str) -> Path:
    """The file of one of the photographs to try.

    Raises:
        PictureError: there is none of that name; the message lists those there are.
    """
    if name not in PHOTOS:
        raise PictureError(f"there is no photograph {name!r}; there are {', '.join(PHOTOS)}")
    from importlib.resources import files  # here, for it takes a while, and all commands read this module

    return Path(str(files("skimage.data") / PHOTOS[name]))
