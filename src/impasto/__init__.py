"""Impasto: pictures made with neural networks. This page is the table of contents.

`impasto.read(path)` opens a picture, `impasto.stylize(content, style)` paints one in the manner of another.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from impasto._version import __version__
from impasto.errors import ImpastoError, PictureError, SettingsError, WeightsError

if TYPE_CHECKING:
    from impasto.media.picture import Picture, read
    from impasto.style.stylize import stylize

__all__ = [
    "ImpastoError",
    "Picture",
    "PictureError",
    "SettingsError",
    "WeightsError",
    "__version__",
    "read",
    "stylize",
]

# Loaded at first use (PEP 562), for they bring torch and Pillow: `import impasto` and `impasto --help` answer at once.
_HOMES = {
    "Picture": "impasto.media.picture",
    "read": "impasto.media.picture",
    "stylize": "impasto.style.stylize",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'impasto' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
