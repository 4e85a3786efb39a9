"""What made this file: recipe and AI-content labels, read from every kind of file that Impasto writes."""

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from impasto.errors import ClipError, ModelError, PictureError, one_line
from impasto.media import clip, picture, sound
from impasto.media.formats import what_it_is
from impasto.provenance import XMP, parse

TENSORS = (".style", ".safetensors")
MOST = 500  # rows that are shown: a recipe may come from anyone, and be of any length
LONGEST = 10_000  # characters of a row


def inspect(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read recipe and labels from a picture, a clip, a sound, a saved style or a model. Returns what `parse` returns.

    Raises:
        ImpastoError: no such file, or none of these.

    Examples:
        >>> impasto.stylize("photo.jpg", "painting.jpg", quality="draft", size=64).save("out.png")
        >>> from impasto.media.inspect import inspect
        >>> inspect("out.png")["recipe"]["settings"]["quality"]
        'draft'
    """
    path = Path(path)
    extension = path.suffix.lower()
    if extension in TENSORS:
        return parse(_tensors_xmp(path))
    if extension == ".onnx":
        return parse(_onnx_xmp(path))
    if path.is_dir() or extension in clip.FORMATS:
        return parse(clip.read_xmp(path))
    if extension in sound.FORMATS:
        return parse(sound.read_xmp(path))
    try:
        return parse(picture.read_xmp(path))
    except PictureError:
        kind = what_it_is(path) if path.is_file() else "missing"
        if kind and not kind.endswith(("clip", "sound")):
            raise
        try:  # FFmpeg knows more containers than there are names for
            return parse(clip.read_xmp(path))
        except ClipError:
            pass
        raise


def _tensors_xmp(path: Path) -> bytes:
    """The packet among the metadata of a safetensors file."""
    try:
        with safe_open(path, "np") as file:
            return (file.metadata() or {}).get(XMP, "").encode()
    except FileNotFoundError as error:
        raise PictureError(f"{path} does not exist; check the name") from error
    except (OSError, SafetensorError) as error:
        raise PictureError(f"{path} cannot be read: it is damaged, or no saved style or model") from error


def _onnx_xmp(path: Path) -> bytes:
    """The same of an ONNX file."""
    try:
        import onnx
    except ImportError as error:
        raise ModelError("ONNX needs further packages; install them with: pip install 'impasto[onnx]'") from error
    try:
        properties = onnx.load(path, load_external_data=False).metadata_props
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist; check the name") from error
    except Exception as error:  # protobuf has kinds of its own
        raise ModelError(f"{path} cannot be read: it is damaged, or no ONNX file") from error
    return next((entry.value for entry in properties if entry.key == XMP), "").encode()


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """What `inspect` found, as lines of a name and a value; of very long recipes the beginning."""
    lines = itertools.chain(_rows("label", found["labels"]), _rows("", found["recipe"] or {}))
    shown = [(_cut(name), _cut(value)) for name, value in itertools.islice(lines, MOST)]
    return [*shown, ("...", "and more, which --json shows")] if next(lines, None) else shown


def _cut(text: str) -> str:
    return one_line(text if len(text) <= LONGEST else f"{text[:LONGEST]}...")


def _rows(name: str, value: Any, depth: int = 3) -> Iterator[tuple[str, Any]]:
    """Name and value of each entry, with those of nested ones behind their parent's: "settings quality", "fine"."""
    if isinstance(value, dict) and depth:
        for key, inner in value.items():
            yield from _rows(f"{name} {key}".strip(), inner, depth - 1)
    elif isinstance(value, list) and depth and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value, 1):
            yield from _rows(f"{name} {number}", inner, depth - 1)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)
