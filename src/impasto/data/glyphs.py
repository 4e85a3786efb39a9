"""Drawn digits in the likeness of MNIST: always there, nothing to download.

The digits of the fonts that matplotlib ships, each drawn anew with its own slant, size, thickness and wobble (affine
and elastic changes after Simard, Steinkraus and Platt 2003). A digit is held as the distance of each pixel to its
edge (Green 2007): to draw it thicker is an addition, and its edge stays smooth however it is bent.
"""

import functools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.data.dataset import Stored
from impasto.errors import DataError

SIZE = 28  # pixels; the digits are about 20 high, as in MNIST
COUNTS = {"train": 20_000, "validation": 2_000, "test": 2_000}
SEEDS = {"train": 0, "validation": 1, "test": 2}
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
    "cmr10",
    "cmb10",
    "cmss10",
    "cmti10",
    "cmtt10",
)  # not DejaVu Sans Mono, whose zero has a dot, nor cmmi10, whose digits are of unequal height
FINE = 4  # the fonts are drawn so many times larger


@functools.cache
def load(split: str) -> Stored:
    """The drawn digits of "train", "validation" or "test", always the same ones, every digit as often as the others."""
    generator = torch.Generator().manual_seed(SEEDS[split])
    labels = (torch.arange(COUNTS[split]) % 10)[torch.randperm(COUNTS[split], generator=generator)]
    images = torch.cat([_drawn(part, generator) for part in labels.split(1000)])
    return Stored("glyphs", images, labels, tuple("0123456789"))


def _drawn(digits: Tensor, generator: torch.Generator) -> Tensor:
    """One picture [1, 28, 28] uint8 for each of `digits` [N]."""
    n = len(digits)

    def normal(*shape: int) -> Tensor:
        return torch.randn(n, *shape, generator=generator).clamp(-2, 2)

    def each(numbers: Tensor) -> Tensor:
        return numbers[:, None, None]

    distances = _distances()[torch.randint(len(FONTS), (n,), generator=generator), digits]  # [N, 1, 56, 56]
    angle, slant = each(0.12 * normal()), each(0.2 * normal())  # radians, tangent
    wide, high = each(1.02 + 0.12 * normal()), each(1.1 + 0.06 * normal())  # more is smaller
    # Where each pixel is looked up in the font's digit, in units of half a side: wobbled, turned, slanted, stretched.
    smooth = F.interpolate(torch.eye(4)[None, None], (SIZE, 4), mode="bicubic")[0, 0]  # [28, 4]
    wobble = smooth @ (0.07 * normal(2, 4, 4)) @ smooth.T  # [N, 2, 28, 28]
    line = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = line + wobble[:, 0], line[:, None] + wobble[:, 1]
    x, y = angle.cos() * x - angle.sin() * y, angle.sin() * x + angle.cos() * y
    where = torch.stack([wide * (x + slant * y), high * y], -1)
    bent = F.grid_sample(distances, where, padding_mode="border", align_corners=False)
    # Every stroke ends up about as broad as a pen's: bold fonts lose, light ones gain.
    half_width = 1.6 + 0.35 * normal()
    gain = (half_width - distances.amax((1, 2, 3))).clamp(-0.3, 1.2)
    ink = 0.5 + (bent + gain[:, None, None, None]) / 1.3  # the edge takes 1.3 pixels from black to white
    return ink.clamp(0, 1).mul(255).round().byte()


@functools.cache
def _distances() -> Tensor:
    """Distance to the edge in pixels of the small picture, positive inside: [fonts, 10, 1, 2 SIZE, 2 SIZE]."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    digits = [_distance(folder / f"{font}.ttf", digit) for font in FONTS for digit in "0123456789"]
    fine = torch.from_numpy(np.stack(digits)).float()[:, None]
    return F.avg_pool2d(fine, FINE // 2).unflatten(0, (len(FONTS), 10))


def _distance(font: Path, digit: str) -> np.ndarray:
    """The distances [FINE SIZE, FINE SIZE] of one digit, 20 pixels high, its centre of mass in the middle."""
    from PIL import Image, ImageDraw, ImageFont
    from scipy.ndimage import center_of_mass, distance_transform_edt

    side, height = FINE * SIZE, FINE * 20
    try:
        trial = ImageFont.truetype(font, 1000).getbbox(digit)
        drawn = ImageFont.truetype(font, 1000 * height / (trial[3] - trial[1]))
    except OSError as error:
        raise DataError(f"{font} is missing from matplotlib; install impasto again") from error
    canvas = Image.new("1", (side, side))
    ImageDraw.Draw(canvas).text((side / 2, side / 2), digit, fill=1, font=drawn, anchor="mm")
    inside = np.asarray(canvas)
    inside = np.roll(inside, [round((side - 1) / 2 - c) for c in center_of_mass(inside)], (0, 1))
    distance: np.ndarray = (distance_transform_edt(inside) - distance_transform_edt(~inside)) / FINE
    return distance
