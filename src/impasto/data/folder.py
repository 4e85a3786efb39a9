"""A folder of any pictures as a data set: `folder:PATH`, its subfolders the classes.

`folder:PATH?size=128&crop=none&channels=1` sets the side in pixels, how a picture becomes a square, and grey.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from impasto.configs import changed
from impasto.data.dataset import Batch, Dataset, Stored, fingerprint
from impasto.data.square import Square, is_folder, located
from impasto.errors import DataError, PictureError, warn
from impasto.files import is_hidden
from impasto.media.formats import PICTURES
from impasto.media.picture import read

LARGE = 10**9  # bytes of decoded pictures; more are streamed
NAMED = 20  # broken files in one warning
LOOKED_AT = 1000  # pictures at most, to find out whether all are grey
TINT = 2 / 255  # between the channels of a grey pixel, at most: what rounding leaves


@dataclass(frozen=True)
class Streamed:
    """A data set too large for memory: each picture is read when its turn comes."""

    name: str
    files: tuple[Path, ...]
    square: Square
    labels: Tensor | None = None  # [N], int64
    class_names: tuple[str, ...] = ()
    mirrored: bool = False
    fingerprint: str = ""

    @property
    def channels(self) -> int:
        return self.square.channels

    @property
    def size(self) -> int:
        return self.square.size

    def __len__(self) -> int:
        return len(self.files)

    def batch(self, indices: Tensor) -> Batch:
        """The pictures of `indices` [N]; the next sound one in place of a broken one, with a warning."""
        images, labels = [], []
        for index in indices.tolist():
            sound, image = first_readable(self.name, self.files, index, self.square.of)
            images.append(image)
            labels.append(sound)
        return Batch(torch.stack(images).float() / 255, None if self.labels is None else self.labels[labels])


def load(
    name: str,
    split: str,
    size: int | None = None,
    channels: int | None = None,
    crop: str | None = None,
    class_names: tuple[str, ...] | None = None,
) -> Dataset:
    """The "train", "validation" or "test" part of the pictures in the folder that `name` says.

    A tenth of the pictures of each class is for validation and another for test, chosen by a hash of their names; a
    class of one or two pictures is for training alone.

    Args:
        name: "folder:PATH", perhaps with "?size=...&crop=...&channels=..." behind it.
        size: side in pixels, before what `name` says.
        channels: 1 is grey; before what `name` says. Else grey where all pictures are (of 1,000 that are looked at).
        crop: where `name` says none.
        class_names: the classes of a run, in its order; () for none. Else those of the subfolders, numbers in them in
            the order of their size.

    Raises:
        SettingsError: an option in `name` that does not exist.
        DataError: no folder, or no pictures in it.
    """
    root, options = located(name)
    if name == "folder:" or not is_folder(root):
        raise DataError(f"{name!r} names no folder; write folder:PATH")
    given = {key: value for key, value in (("size", size), ("channels", channels)) if value is not None}
    asked = {"crop": crop or Square.crop} | options | given
    square = changed(Square(), asked)
    every, class_names = _classes(root, pictures_in(root), class_names)
    files = [file for members in _by_class(every, class_names) for file in _part(members, split)]
    if not files:
        raise DataError(f"{root} has {len(every)} pictures, too few to hold some out for {split}; it takes 3")
    if "channels" not in asked and _grey(root, every):
        square = changed(square, {"channels": 1})
    files.sort()
    labels = torch.tensor([class_names.index(file.parts[0]) for file in files]) if class_names else None
    paths = tuple(root / file for file in files)
    if len(files) * square.channels * square.size**2 > LARGE:
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
    return Stored(name, torch.stack(images), None if labels is None else labels[sound], class_names, fingerprint=known)


def pictures_in(root: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, by their paths in it, sorted; hidden ones are left out.

    Links are followed.

    Raises:
        DataError: there are none, or a folder cannot be read.
    """
    try:
        every = sorted(file.relative_to(root) for file in _files(root, frozenset()))
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be read: {error.strerror or error}") from error
    every = [file for file in every if file.suffix.lower() in PICTURES]
    if not every:
        raise DataError(f"{root} has no pictures ({', '.join(sorted(PICTURES))})")
    return every


def _files(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """What lies in a folder and its subfolders; a link to a folder that it lies in itself is not followed."""
    here = folder.stat()
    place = (here.st_dev, here.st_ino)
    if place in above:
        return
    for entry in folder.iterdir():
        if is_hidden(entry):
            continue
        if entry.is_dir():
            yield from _files(entry, above | {place})
        else:
            yield entry


def listed(root: Path, files: Iterable[Path]) -> str:
    """A fingerprint of the names in `root` and the sizes of `files`: quick, where they are too many to be read."""
    sizes = ((file.relative_to(root), file.stat().st_size if file.exists() else 0) for file in files)
    return fingerprint(os.fsencode(f"{name}\0{size}") for name, size in sizes)


def first_readable(
    name: str, files: Sequence[Path], index: int, opened: Callable[[Path], Tensor]
) -> tuple[int, Tensor]:
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


def _classes(root: Path, every: list[Path], known: tuple[str, ...] | None) -> tuple[list[Path], tuple[str, ...]]:
    """The pictures that count, and the classes: those `known` where all are among them, else the subfolders."""
    inside = [file for file in every if len(file.parts) > 1]
    found = sorted({file.parts[0] for file in inside}, key=_natural)
    if known and found and set(found) <= set(known):
        names = known
    elif known == () or len(found) < 2:
        return every, ()
    else:
        names = tuple(found)
    if stray := len(every) - len(inside):
        first = next(file for file in every if len(file.parts) == 1)
        warn(f"{root}: {stray} pictures beside the folders of the classes are left out, such as {first}")
    empty = {folder.name for folder in root.iterdir() if folder.is_dir() and not is_hidden(folder)} - set(found)
    if empty:
        warn(f"{root}: no pictures in {', '.join(sorted(empty, key=_natural))}; what is empty is no class")
    return inside, names


def _natural(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """What to sort by, so that 2 comes before 10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(False, int(part), "") if part[0] in "0123456789" else (True, 0, part) for part in parts], name


def _by_class(files: list[Path], class_names: tuple[str, ...]) -> list[list[Path]]:
    """The files of each class, with a word on those too small to hold some out; all where every one is."""
    members: dict[str, list[Path]] = {}
    for file in files:
        members.setdefault(file.parts[0] if class_names else "", []).append(file)
    small = [name for name in sorted(members, key=_natural) if len(members[name]) < 3]
    if len(small) == len(members):
        return [files]
    if small:
        warn(f"too few pictures to hold some out, so all are for training: {', '.join(small)}; a class takes 3")
    return list(members.values())


def _rank(file: Path) -> bytes:
    return hashlib.md5(file.as_posix().encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()


def _part(files: list[Path], split: str) -> list[Path]:
    """The files of `split`, in their order: few change sides when pictures are added or taken away."""
    ranked = sorted(files, key=_rank)
    tenth = max(1, round(len(files) / 10)) if len(files) >= 3 else 0
    parts = {"test": ranked[:tenth], "validation": ranked[tenth : 2 * tenth], "train": ranked[2 * tenth :]}
    return sorted(parts[split])


def _grey(root: Path, files: list[Path]) -> bool:
    """Whether all pictures are grey, by as many as `LOOKED_AT`; those that are broken say nothing."""
    for file in sorted(files, key=_rank)[:LOOKED_AT]:
        try:
            pixels = read(root / file).on_white()
        except PictureError:
            continue
        if (pixels.amax(1) - pixels.amin(1)).max() > TINT:
            return False
    return True
