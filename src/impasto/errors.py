"""Errors and warnings that a user can cause. Each carries one line: what is wrong, and what to do about it."""

import warnings
from collections.abc import Callable


class ImpastoError(Exception):
    """Base of every error that the command line shows as one line with exit code 2."""


class PictureError(ImpastoError):
    """A picture that cannot be read or written."""


class WeightsError(ImpastoError):
    """A weight file that is missing, broken, or lacks a layer."""


class SettingsError(ImpastoError):
    """An option with a value that makes no sense, alone or beside another."""


class DataError(ImpastoError):
    """A data set that is missing, broken, or does not fit."""


class ModelError(ImpastoError):
    """A model or run that is missing, broken, or cannot do what is asked."""


class ClipError(ImpastoError):
    """A clip (video file or folder of frames) that cannot be read or written."""


class SoundError(ImpastoError):
    """A sound that cannot be read or written."""


class OutputError(ImpastoError):
    """A place that cannot be written, or must not be."""


class ImpastoWarning(UserWarning):
    """What a user should know of while the work goes on: one line. The faces show it, and no other kind of warning."""


listener: Callable[[str], bool] | None = None  # of a face: whether there was somebody to tell


def warn(message: str) -> None:
    """Tell whoever watches; the command line writes `warning: ...`, the page shows a notice, Python its own way."""
    if listener is not None and listener(message):
        return
    warnings.warn(message, ImpastoWarning, stacklevel=3)


def out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory is full: torch, oneDNN, OpenCV and the system each have words of their own for it."""
    words = ("allocate", "bad_alloc", "create a primitive", "Insufficient memory", "map segment", "start new thread")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def one_line(text: object) -> str:
    """Make one line of plain text: names and recipes come from anyone, and may hold what moves the cursor."""
    line = " ".join(part.strip() for part in str(text).splitlines())  # spaces inside stay: they may be a file's name
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
