"""A look as a table: which colour becomes which, as .cube files (Adobe 2013) and HaldCLUT pictures hold it.

Editing programs, game engines and FFmpeg (`lut3d`, `haldclut`) read both. A table of a .cube has 33 points along red,
green and blue; between them is interpolated. Its colours are sRGB, in and out.
"""

import re
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import PictureError
from impasto.files import check_place, replacing
from impasto.media import picture
from impasto.media.picture import Picture

FORMATS = (".cube", ".png")
POINTS = 33  # along each axis
HALD = 8  # level of a HaldCLUT that is written: 64 points along each axis, a square of 512 pixels
STRIP = 256  # rows of a picture that are looked up at a time: a large one takes no more memory for it
MOST = 256  # points along an axis of a file that is read
LARGEST = 1 << 30  # bytes of a file that is read: 256 points in text


@dataclass(frozen=True)
class Lut:
    """A look: `table` [blue, green, red, 3] float32, the colours that the points of the cube become."""

    table: Tensor
    lowest: tuple[float, float, float] = (0.0, 0.0, 0.0)  # colours that the first points stand for
    highest: tuple[float, float, float] = (1.0, 1.0, 1.0)  # and the last ones

    def __call__(self, pixels: Tensor) -> Tensor:
        """`pixels` [1, 3, H, W] in [0, 1] with this look, trilinear between the points."""
        return torch.cat([self._looked_up(strip) for strip in pixels.split(STRIP, 2)], 2)

    def _looked_up(self, pixels: Tensor) -> Tensor:
        low, high = (pixels.new_tensor(end)[:, None, None] for end in (self.lowest, self.highest))
        at = ((pixels - low) / (high - low)).clamp(0, 1) * 2 - 1
        table = self.table.to(pixels).permute(3, 0, 1, 2)[None]
        found = F.grid_sample(table, at.permute(0, 2, 3, 1)[:, None], padding_mode="border", align_corners=True)
        return found[:, :, 0].clamp(0, 1)

    def weakened(self, share: float) -> "Lut":
        """A `share` of the way, from 0 (nothing changes) to 1."""
        low, high = (self.table.new_tensor(end) for end in (self.lowest, self.highest))
        still = low + identity(len(self.table)).to(self.table) * (high - low)
        return replace(self, table=torch.lerp(still, self.table, share))

    def save(self, path: str | PathLike[str], title: str = "Impasto") -> None:
        """Write it as the extension says: .cube with all its points, .png as a HaldCLUT of level 8 in 16 bits.

        Raises:
            PictureError: another extension.
            OutputError: a place that cannot be written.
        """
        path = Path(path)
        check_writable(path)
        if path.suffix.lower() == ".png":
            Picture(hald(self)).save(path, bits=16)
            return
        points = len(self.table)
        lines = [f'TITLE "{title}"', f"LUT_3D_SIZE {points}"]
        if (self.lowest, self.highest) != (Lut.lowest, Lut.highest):
            lines += ["DOMAIN_MIN " + _numbers(self.lowest), "DOMAIN_MAX " + _numbers(self.highest)]
        lines += [_numbers(colour) for colour in self.table.reshape(-1, 3).tolist()]
        with replacing(path) as part:
            part.write_text("\n".join(lines) + "\n", encoding="ascii")


def check_writable(path: str | PathLike[str]) -> None:
    """Say before the work whether a look can be written there.

    Raises:
        PictureError: another extension.
        OutputError: a missing or locked place.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise PictureError(f"{path}: a look is written as {' or '.join(FORMATS)}")
    check_place(Path(path))


def identity(points: int = POINTS) -> Tensor:
    """The table [blue, green, red, 3] in which every colour stays."""
    line = torch.linspace(0, 1, points)
    return torch.stack(torch.meshgrid(line, line, line, indexing="ij"), 3).flip(3)


def hald(lut: Lut, level: int = HALD) -> Tensor:
    """The HaldCLUT [1, 3, level³, level³] of a look: all colours of the cube, row by row."""
    side = level**3
    return lut(identity(level**2).reshape(1, side, side, 3).permute(0, 3, 1, 2))


def read(path: str | PathLike[str]) -> Lut:
    """Read a .cube file of three dimensions, or a picture that is a HaldCLUT.

    Raises:
        PictureError: no such file, or none of these; the message says what is wrong in it.
    """
    path = Path(path)
    if path.suffix.lower() != ".cube":
        pixels = picture.read(path).pixels
        level = round(pixels.shape[3] ** (1 / 3))
        if pixels.shape[2:] != (level**3, level**3) or level < 2:
            size = f"{pixels.shape[3]} × {pixels.shape[2]} pixels"
            raise PictureError(f"{path} is no HaldCLUT: one is a square of 64, 125, 216 or 512 pixels, not {size}")
        return Lut(pixels[0].permute(1, 2, 0).reshape(level**2, level**2, level**2, 3).contiguous())
    try:
        if path.stat().st_size > LARGEST:
            raise PictureError(f"{path} is too large for a look of {MOST} points")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise PictureError(f"{path} cannot be read: {error.strerror}") from error
    return _parsed(text, path)


def _parsed(text: str, path: Path) -> Lut:
    said: dict[str, list[float]] = {}
    colours: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words or words[0] == "TITLE":
            continue
        name = words.pop(0) if re.fullmatch(r"[A-Z][A-Z0-9_]*", words[0]) else ""
        try:
            values = [float(word) for word in words]
        except ValueError as error:
            raise PictureError(f"{path}, line {number}: {line.strip()[:40]!r} is no colour") from error
        if name:
            said[name] = values
        elif len(values) == 3 and len(colours) < MOST**3:
            colours.append(values)
        else:
            raise PictureError(f"{path}, line {number}: a colour has three numbers, not {len(values)}")
    if "LUT_1D_SIZE" in said:
        raise PictureError(
            f"{path} is a table for each channel alone (LUT_1D_SIZE); only those of LUT_3D_SIZE are read"
        )
    points = said.get("LUT_3D_SIZE", [0])[0] if said.get("LUT_3D_SIZE") else 0
    if not (2 <= points <= MOST and points == int(points)):
        raise PictureError(f"{path} is no .cube of three dimensions: it says no LUT_3D_SIZE from 2 to {MOST}")
    points = int(points)
    table = torch.tensor(colours).reshape(-1, 3)
    if len(table) != points**3:
        raise PictureError(f"{path} has {len(table)} colours; {points} points a side are {points**3}")
    low, high = said.get("DOMAIN_MIN", [0.0] * 3), said.get("DOMAIN_MAX", [1.0] * 3)
    if not table.isfinite().all() or not (
        len(low) == len(high) == 3 and all(a < b for a, b in zip(low, high, strict=True))
    ):
        raise PictureError(f"{path} has numbers that are none, or a domain without a size")
    return Lut(table.reshape(points, points, points, 3), (low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _numbers(values: list[float] | tuple[float, ...]) -> str:
    return " ".join(f"{value:.6f}" for value in values)
