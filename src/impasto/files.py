"""Writing files so that they appear whole or not at all, and never over what was meant to be read."""

import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from impasto.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; what was written there takes the place of `path` at the end.

    After an error nothing is left behind, and the file that was there before stays. A link stays a link.
    """
    target = path.resolve()
    part = target.with_name(f".impasto-{uuid.uuid4().hex}{target.suffix}")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def is_hidden(path: Path) -> bool:
    """Whether its name starts with a dot, such as the `._` companions that macOS leaves on other systems' disks."""
    return path.name.startswith(".")


def check_place(path: Path) -> None:
    """Say at the start of a long run whether the file `path` can be written at the end.

    Raises:
        OutputError: a missing or locked folder, a full or read-only disk, a folder where the file should be.
    """
    try:
        if not path.parent.is_dir():
            raise OutputError(f"{path}: there is no folder {path.parent}; create it first")
        if path.exists() and not path.is_file():
            raise OutputError(f"{path} is {'a folder' if path.is_dir() else 'no ordinary file'}; name a file")
        if not os.access(path if path.exists() else path.parent, os.W_OK) or not os.access(path.parent, os.W_OK):
            raise PermissionError
        tempfile.TemporaryFile(dir=path.parent).close()  # asks the file system itself: permissions tell root nothing
    except PermissionError as error:
        raise OutputError(f"{path}: no permission to write here; choose another place") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} cannot be written: {why}; make room there or choose another place") from error


def check_apart(output: Path, inputs: Iterable[Path], *, overwrite: bool = False) -> None:
    """Refuse to write over what is read, be it under another name of the same file.

    Raises:
        OutputError: `output` is one of `inputs`, and nobody asked for that.
    """
    for file in inputs:
        if not overwrite and output.exists() and file.exists() and output.samefile(file):
            raise OutputError(f"{output} is what is read: name another file, or say --overwrite")
