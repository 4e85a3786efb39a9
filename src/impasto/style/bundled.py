"""The style pictures that come with Impasto (drawn by tools/draw_styles.py)."""

from pathlib import Path

from impasto.errors import PictureError
from impasto.weights import ASSETS

BUNDLED = {path.stem: path for path in sorted((ASSETS / "styles").glob("*.jpg"))}


def style_picture(given: str) -> Path:
    """The file that a user means: a picture file, or the name of a bundled style.

    Raises:
        PictureError: neither; the message lists the bundled styles.
    """
    path = Path(given)
    if path.exists() or path.suffix:  # what looks like a file is left to whoever reads it
        return path
    if given not in BUNDLED:
        raise PictureError(f"{given} is no file, and no bundled style; those are {', '.join(BUNDLED)}")
    return BUNDLED[given]
