"""What is known of a clip before its first frame, and what a frame is."""

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor


@dataclass(frozen=True)
class Info:
    """A clip without its frames. Matrix, primaries and transfer are the code points of ITU-T H.273."""

    width: int  # pixels, upright, as the frames come
    height: int
    rate: Fraction  # frames per second; the mean if it varies
    variable: bool = False  # rate
    aspect: Fraction = Fraction(1)  # width of a pixel by its height
    full_range: bool = False  # luma from 0 to 255 instead of 16 to 235
    matrix: int = 1  # 1 is BT.709, never "unspecified"
    primaries: int = 1
    transfer: int = 1
    alpha: bool = False
    frames: int | None = None  # how many to expect, as the file says
    sound: bool = False


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a clip."""

    pixels: Tensor  # [1, 3, H, W] float32 in [0, 1], sRGB or what is shown as it
    alpha: Tensor | None  # [1, 1, H, W] in [0, 1], not multiplied into the pixels
    time: Fraction  # seconds from the start of the cut
    duration: Fraction | None = None  # seconds it stands for; None: to the next one, at the end as long as the others
