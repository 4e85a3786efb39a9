"""A folder of any pictures as a data set: `folder:PATH`, its subfolders the classes.

`folder:PATH?size=128&crop=none` sets the side in pixels and how a picture becomes a square.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import torch
from torch import Tensor

from impasto.configs import changed, nearest
from impasto.data.dataset import Batch, Dataset, Stored, fingerprint
from impasto.errors import DataError, PictureError, SettingsError, warn
from impasto.picture import FORMATS, read, resize

EXTENSIONS = {*FORMATS, ".gif", ".bmp"}
CROPS = ("centre", "none")
LARGE = 10**9  # bytes of decoded pictures; more are streamed
NAMED = 20  # broken files in one warning


@dataclass(frozen=True)
class Square:
    """How a picture becomes a square."""

    size: int = 64  # side, pixels
    crop: str = "centre"  # "centre": what is too long is cut off at both ends; "none": all of it, squeezed

    def of(self, file: Path) -> Tensor:
        """The picture in `file` as a square [3, size, size] uint8, on white where it is transparent.

        Raises:
            PictureError: it cannot be read.
        """
        picture = read(file)
        pixels = picture.pixels
        if picture.alpha is not None:
            pixels = pixels * picture.alpha + (1 - picture.alpha)
        height, width = pixels.shape[2:]
        if self.crop == "centre":
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            pixels = pixels[:, :, top : top + side, left : left + side]
        return resize(pixels, self.size, self.size)[0].mul(255).round().byte()


@dataclass(frozen=True)
class Streamed:
    """A data set too large for memory: each picture is read when its turn comes."""

    name: str
    files: tuple[Path, ...]
    square: Square
    labels: Tensor | None = None  # [N], int64
    class_names: tuple[str, ...] = ()
    channels: int = 3
    fingerprint: str = ""

    @property
    def size(self) -> int:
        return self.square.size

    def __len__(self) -> int:
        return len(self.files)

    def batch(self, indices: Tensor) -> Batch:
        """The pictures of `indices` [N]; the next sound one in place of a broken one, with a warning."""
        images, labels = [], []
        for index in indices.tolist():
            sound, image = first_sound(self.name, self.files, index, self.square.of)
            images.append(image)
            labels.append(sound)
        return Batch(torch.stack(images).float() / 255, None if self.labels is None else self.labels[labels])


def load(name: str, split: str, size: int | None = None) -> Dataset:
    """The "train", "validation" or "test" part of the pictures in the folder that `name` says.

    A tenth of the pictures each is for validation and test, chosen by a hash of their names.

    Args:
        name: "folder:PATH", perhaps with "?size=...&crop=..." behind it.
        size: side in pixels, before what `name` says.

    Raises:
        SettingsError: an option in `name` that does not exist.
        DataError: no folder, or no pictures in it.
    """
    location, _, options = name.removeprefix("folder:").partition("?")
    square = _square(dict(parse_qsl(options, keep_blank_values=True)) | ({} if size is None else {"size": size}))
    root = Path(location).expanduser()
    if not location or not root.is_dir():
        raise DataError(f"{name!r} names no folder; write folder:PATH")
    every = pictures_in(root)
    files = _part(every, split)
    if not files:
        raise DataError(f"{root} has {len(every)} pictures, too few to hold some out for {split}; it takes 3")
    # Pictures beside the subfolders belong to no class, and one class is none.
    class_names = tuple(sorted({file.parts[0] for file in every}))
    if len(class_names) < 2 or any(len(file.parts) == 1 for file in every):
        class_names = ()
    labels = torch.tensor([class_names.index(file.parts[0]) for file in files]) if class_names else None
    paths = tuple(root / file for file in files)
    if len(files) * 3 * square.size**2 > LARGE:
        return Streamed(name, paths, square, labels, class_names, fingerprint=listed(root, paths))
    images, sound, broken = [], [], []
    for index, path in enumerate(paths):
        try:
            images.append(square.of(path))
            sound.append(index)
        except PictureError as error:
            broken.append(str(error))
    if broken:
        more = f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        warn(f"{len(broken)} files skipped: {'; '.join(broken[:NAMED])}{more}")
    if not images:
        raise DataError(f"{root}: none of the {len(files)} pictures for {split} can be read")
    known = fingerprint(part for index in sound for part in (os.fsencode(files[index]), paths[index].read_bytes()))
    return Stored(name, torch.stack(images), None if labels is None else labels[sound], class_names, known)


def pictures_in(root: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, by their paths in it, sorted; hidden ones are left out.

    Raises:
        DataError: there are none.
    """
    every = sorted(file.relative_to(root) for file in root.rglob("*") if file.suffix.lower() in EXTENSIONS)
    every = [file for file in every if not any(part.startswith(".") for part in file.parts)]
    if not every:
        raise DataError(f"{root} has no pictures ({', '.join(sorted(EXTENSIONS))})")
    return every


def listed(root: Path, files: Iterable[Path]) -> str:
    """A fingerprint of the names in `root` and the sizes of `files`: quick, where they are too many to be read."""
    sizes = ((file.relative_to(root), file.stat().st_size if file.exists() else 0) for file in files)
    return fingerprint(os.fsencode(f"{name}\0{size}") for name, size in sizes)


def first_sound(name: str, files: Sequence[Path], index: int, opened: Callable[[Path], Tensor]) -> tuple[int, Tensor]:
    """The picture of `index` in `files`, or with a warning the next one that can be `opened`, and which it is.

    Raises:
        DataError: none can; the message begins with `name`.
    """
    for turn in range(len(files)):
        sound = (index + turn) % len(files)
        try:
            return sound, opened(files[sound])
        except PictureError as error:
            warn(f"skipped: {error}")
    raise DataError(f"{name}: no picture can be read any more")


def _square(options: Mapping[str, str | int]) -> Square:
    square = changed(Square(), options)
    if square.size < 1:
        raise SettingsError(f"a picture has at least 1 pixel a side, not {square.size}")
    if square.crop not in CROPS:
        raise nearest(square.crop, CROPS, "crop")
    return square


def _part(files: list[Path], split: str) -> list[Path]:
    """The files of `split`, in their order: few change sides when pictures are added or taken away."""
    ranked = sorted(files, key=lambda file: hashlib.md5(file.as_posix().encode(), usedforsecurity=False).digest())
    tenth = max(1, round(len(files) / 10)) if len(files) >= 3 else 0
    parts = {"test": ranked[:tenth], "validation": ranked[tenth : 2 * tenth], "train": ranked[2 * tenth :]}
    return sorted(parts[split])
