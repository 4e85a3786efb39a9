"""Folders of numbered frames, as film and game pipelines exchange them: reading and writing."""

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from types import TracebackType
from typing import Any

from torch import Tensor

from impasto import provenance
from impasto.errors import ClipError, PictureError, warn
from impasto.files import is_hidden, remove_abandoned
from impasto.media import picture
from impasto.media.clip.info import Frame, Info
from impasto.media.picture import Picture

READS = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
DEFAULT_NAME = "frame_%05d.png"


class Folder:
    """A folder of frames in the order of their numbers. Gaps close: the frames follow each other at `rate`."""

    def __init__(self, path: Path, rate: Fraction, start: Fraction, end: Fraction | None, size: int | None) -> None:
        self.path, self.rate, self.start, self.end = path, rate, start, end
        names, others = _listed(path)
        self.skipped = sorted(file.name for file in others)
        self.first = ceil(start * rate)
        self.files = names[self.first : None if end is None else ceil(end * rate)]
        if not self.files:  # the cut lies within one frame
            self.first = floor(start * rate)
            self.files = names[self.first : self.first + 1]
        if not self.files:
            raise nothing_in_cut(path, start, end, len(names) / rate)
        pixels, alpha = self._read(self.files[0], size)
        self.info = Info(pixels.shape[3], pixels.shape[2], rate, alpha=alpha is not None, frames=len(self.files))

    def _read(self, file: Path, size: int | None) -> tuple[Tensor, Tensor | None]:
        read = picture.read(file)
        read = read if size is None else read.fitted(size)
        return read.pixels, read.alpha

    def frames(self) -> Iterator[Frame]:
        """The pictures in the order of their numbers, each at the time that the rate gives it."""
        width, height, count = self.info.width, self.info.height, 0
        if self.skipped:
            names = ", ".join(self.skipped[:3]) + (" ..." if len(self.skipped) > 3 else "")
            warn(f"{self.path}: {len(self.skipped)} of what is in it is left out, being no numbered frame: {names}")
        for number, file in enumerate(self.files, self.first):
            try:
                pixels, alpha = self._read(file, max(width, height))
            except PictureError:
                continue
            if pixels.shape[2:] != (height, width):
                found = f"{pixels.shape[3]} × {pixels.shape[2]}"
                raise ClipError(f"{file} has another shape than the first frame: {found}, not {width} × {height}")
            count += 1
            time = max(Fraction(0), number / self.rate - self.start)
            yield Frame(pixels, alpha, time, 1 / self.rate)
        if count < len(self.files):
            total = len(self.files)
            warn(f"{self.path} is damaged: {count} of {total} frames could be read")


def frames_in(path: Path) -> list[Path]:
    """The numbered pictures in a folder, in the order of their numbers.

    Raises:
        ClipError: it cannot be read, or there are none.
    """
    return _listed(path)[0]


def _listed(path: Path) -> tuple[list[Path], list[Path]]:
    """The same, and what else is in the folder."""
    try:
        seen = [file for file in path.iterdir() if not is_hidden(file)]
    except OSError as error:
        raise ClipError(f"{path} cannot be read: {error.strerror}") from error
    found = [file for file in seen if _is_frame(file)]
    if not found:
        raise ClipError(f"{path} has no numbered frames in it ({', '.join(READS)}), such as frame_00001.png")
    return sorted(found, key=_natural), [file for file in seen if not _is_frame(file)]


def _is_frame(file: Path) -> bool:
    return file.suffix.lower() in READS and re.search(r"\d", file.stem) is not None


class FrameWriter:
    """Numbered pictures, each complete as soon as it is there. Times are not kept: frame follows frame."""

    def __init__(self, pattern: Path, bits: int, recipe: dict[str, Any] | None, label_cn: bool, resume: bool) -> None:
        self.pattern, self.bits, self.recipe, self.label_cn = pattern, bits, recipe, label_cn
        self._laid = False  # something transparent, on white
        self.done = 0  # frames that are there
        self.state = pattern.with_name(f".{pattern.name}.state")  # hidden: no frame
        try:
            pattern.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ClipError(f"{pattern.parent} cannot be written: {error.strerror}; choose another place") from error
        picture.check_writable(self._file(0), bits=bits)
        while self._file(self.done).exists():
            self.done += 1
        if self.done and not resume:
            raise ClipError(f"{self._file(0)} is there already; resume to go on with it, or name another folder")
        if resume:
            remove_abandoned(pattern.parent, below=False)
        if self.done:
            newest = self._file(self.done - 1)
            if provenance.parse(picture.read_xmp(newest))["recipe"] != (recipe and json.loads(json.dumps(recipe))):
                raise ClipError(f"{newest} was made with other settings; resume with the same, or name another folder")
        else:
            self.state.unlink(missing_ok=True)  # of frames that somebody has deleted

    @property
    def kept(self) -> int:
        """Frames that are on the disk whatever happens."""
        return self.done

    def _file(self, index: int) -> Path:
        return self.pattern.with_name(self.pattern.name % (1 + index))

    def add(
        self,
        pixels: Tensor,
        time: Fraction | float,
        alpha: Tensor | None = None,
        duration: Fraction | float | None = None,
    ) -> None:
        """Write one more frame, pixels [1, 3, H, W] and alpha [1, 1, H, W] in [0, 1]."""
        if (
            not self._laid
            and alpha is not None
            and self.pattern.suffix.lower() in (".jpg", ".jpeg")
            and alpha.min() < 1
        ):
            self._laid = True
            warn(f"{self.pattern.name} has no transparency: it is laid on white; PNG and TIFF frames keep it")
        made = Picture(pixels.cpu(), None if alpha is None else alpha.cpu(), self.recipe)
        made.save(self._file(self.done), bits=self.bits, label_cn=self.label_cn)
        self.done += 1

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.done == 0:
            raise ClipError(f"{self.pattern.parent}: there was no frame to write")
        if kind is None:
            self.state.unlink(missing_ok=True)


def pattern_of(path: Path) -> Path | None:
    """The pattern of file names that `path` asks for: itself, or a folder's default; None if it names a file.

    A percent sign makes a pattern of the name of a picture, or of one without an extension: "shot_%05d.tif". It is part
    of the name of a video, and of a folder.
    """
    if "%" in path.name and (path.suffix.lower() in picture.FORMATS or re.search(r"%\d*d$", path.name)):
        if not re.fullmatch(r"[^%]*%0?\d*d[^%]*", path.name):
            raise ClipError(f"{path}: a pattern has one number in it, such as frame_%05d.png")
        return path
    return path / DEFAULT_NAME if path.is_dir() or path.suffix == "" else None


def nothing_in_cut(path: Path, start: Fraction, end: Fraction | None, lasts: Fraction) -> ClipError:
    """The error for a cut, in seconds, that a clip is too short for."""
    cut = f"from {float(start):g} s on" if end is None else f"from {float(start):g} s to {float(end):g} s"
    return ClipError(f"{path} has no frame {cut}: it lasts {float(lasts):.2f} s")


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order by numbers as numbers: 2 before 10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name)]
