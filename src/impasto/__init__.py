"""Impasto: pictures made with neural networks. This page is the table of contents.

`impasto.read(path)` opens a picture, `impasto.stylize(content, style)` paints one in the manner of another,
`impasto.draw(model)` draws some with a trained model. `stylizing` and `drawing` do the same step by step.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from impasto._version import __version__
from impasto.device import wait_asleep
from impasto.errors import ImpastoError, PictureError, SettingsError, WeightsError

if TYPE_CHECKING:
    from impasto.media.picture import Picture, read
    from impasto.models.drawing import draw, drawing
    from impasto.style.stylize import stylize, stylizing

__all__ = [
    "ImpastoError",
    "Picture",
    "PictureError",
    "SettingsError",
    "WeightsError",
    "__version__",
    "draw",
    "drawing",
    "read",
    "stylize",
    "stylizing",
]

# Loaded at first use (PEP 562), for they bring torch and Pillow: `import impasto` and `impasto --help` answer at once.
_HOMES = {
    "Picture": "impasto.media.picture",
    "read": "impasto.media.picture",
    "draw": "impasto.models.drawing",
    "drawing": "impasto.models.drawing",
    "stylize": "impasto.style.stylize",
    "stylizing": "impasto.style.stylize",
}

wait_asleep()  # here, for whatever of Impasto is imported, this page is first


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'impasto' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
