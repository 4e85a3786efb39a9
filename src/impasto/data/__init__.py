"""Data sets: pictures and their classes, by name or from a folder. This page is the table of contents."""

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from impasto.configs import nearest
from impasto.errors import DataError

if TYPE_CHECKING:
    from impasto.data.dataset import Batch, Dataset, Stored, order

NAMES = ("mnist", "fashion-mnist", "cifar10", "glyphs", "folder:PATH")
SPLITS = ("train", "validation", "test")
__all__ = ["NAMES", "SPLITS", "Batch", "Dataset", "Stored", "load", "order"]


def load(
    name: str,
    split: str,
    *,
    size: int | None = None,
    channels: int | None = None,
    crop: str | None = None,
    class_names: Sequence[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> "Dataset":
    """A part of the data set `name`, one of NAMES.

    "validation" is held out of the training data, always the same pictures; "test" is for final figures alone.
    For a run's own view of any data, pass the fields of `square.of_run` and its class names.

    Args:
        size: side of the pictures in pixels; the data set's own, or 64 for a folder.
        channels: 1 (grey) or 3; the data set's own.
        crop: of a folder whose name says none: "centre" (default) or "none".
        class_names: of a folder: the classes in this order, if it has no others; () for none.
        data_dir: where files that are already here lie (default: IMPASTO_DATA); what is not there is downloaded.

    Raises:
        SettingsError: there is no such data set, split or size.
        DataError: files that cannot be had, are broken, or are of other channels.
    """
    if split not in SPLITS:
        raise nearest(split, SPLITS, "split")
    if name.startswith("folder:"):
        from impasto.data import folder

        return folder.load(name, split, size, channels, crop, None if class_names is None else tuple(class_names))
    if name not in NAMES:
        raise nearest(name, NAMES, "data set")
    from impasto.data.square import Square

    size = size if size is None else Square(size).size
    if name == "glyphs":
        from impasto.data import glyphs

        data = glyphs.load(split)
    else:
        from impasto.data import named

        data = named.load(name, split, data_dir)
    if channels not in (None, data.channels):
        raise DataError(f"{name} has pictures of {data.channels} channels; {channels} are wanted (1 is grey, 3 colour)")
    return data if size in (None, data.size) else _resized(data, size)


def _resized(data: "Stored", size: int) -> "Stored":
    import dataclasses

    import torch

    from impasto.media.picture import resize

    parts = [resize(part / 255, size, size).mul(255).round().byte() for part in data.images.split(1000)]
    return dataclasses.replace(data, images=torch.cat(parts))


def __getattr__(name: str) -> Any:  # loaded at first use (PEP 562), for it brings torch
    if name not in __all__:
        raise AttributeError(f"module 'impasto.data' has no attribute {name!r}")
    return getattr(import_module("impasto.data.dataset"), name)
