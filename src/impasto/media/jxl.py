"""The header of JPEG XL (ISO/IEC 18181-1, annex D): what a picture is before it is decoded, which no binding says."""

from pathlib import Path
from typing import NamedTuple

RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # width to height


class Header(NamedTuple):
    """What the header of a JPEG XL file says; width and height in pixels."""

    width: int  # as shown
    height: int
    animated: bool = False
    orientation: int = 1  # as in Exif; the decoder turns the picture by itself


def header(path: Path) -> Header:
    """Read the header.

    Raises:
        ValueError: no JPEG XL, or cut off within the header.
    """
    with path.open("rb") as file:
        start = file.read(65536)
    bits = _Bits(start[_codestream(start) + 2 :])
    height, width = _size(bits)
    if bits.take(1) or not bits.take(1):  # all as by default, or no extra fields
        return Header(width, height)
    orientation = 1 + bits.take(3)
    if bits.take(1):  # the size that it should have on a screen
        _size(bits)
    animated = not bits.take(1) and bits.take(1)  # behind a preview, which nobody writes, it is not looked for
    if orientation > 4:
        width, height = height, width
    return Header(width, height, bool(animated), orientation)


def _codestream(start: bytes) -> int:
    """Where the codestream begins: at once, or in the first box "jxlc" or "jxlp" of a container."""
    at = 0
    while start[at : at + 2] != b"\xff\x0a":
        length, name = int.from_bytes(start[at : at + 4]), start[at + 4 : at + 8]
        head = 16 if length == 1 else 8
        if name in (b"jxlc", b"jxlp"):
            at += head + 4 * (name == b"jxlp")
            if start[at : at + 2] != b"\xff\x0a":
                raise ValueError("no codestream")
            return at
        at += int.from_bytes(start[at + 8 : at + 16]) if length == 1 else length
        if length == 0 or at >= len(start):
            raise ValueError("no codestream")
    return at


def _size(bits: "_Bits") -> tuple[int, int]:
    """Height and width."""
    small = bits.take(1)

    def side() -> int:
        return 8 * (1 + bits.take(5)) if small else 1 + bits.take((9, 13, 18, 30)[bits.take(2)])

    height = side()
    ratio = bits.take(3)
    return height, side() if ratio == 0 else height * RATIOS[ratio][0] // RATIOS[ratio][1]


class _Bits:
    """Numbers of so many bits, the lowest first."""

    def __init__(self, data: bytes) -> None:
        self.left, self.value = 8 * min(len(data), 64), int.from_bytes(data[:64], "little")

    def take(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise ValueError("cut off")
        number, self.value = self.value & (1 << count) - 1, self.value >> count
        return number
