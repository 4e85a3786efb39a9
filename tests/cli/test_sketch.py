"""Curves and pictures in characters."""

from pathlib import Path

import pytest
from PIL import Image

from impasto.cli import sketch


def test_a_curve_has_its_largest_values_highest() -> None:
    assert sketch.curve([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sketch.curve([3, 1]) == "█▁"
    assert sketch.curve([2, 2, 2]) == "▁▁▁"  # no division by nothing


def test_a_long_curve_is_a_curve_of_means() -> None:
    found = sketch.curve([float(i // 10) for i in range(400)], width=40)
    assert len(found) == 40 and found == "".join(sorted(found))


def test_each_dot_is_a_light_pixel(tmp_path: Path) -> None:
    image = Image.new("L", (4, 5))  # of the last row of characters three rows of dots lie beyond the picture
    for place in ((0, 0), (1, 1), (2, 3), (3, 0), (3, 4)):
        image.putpixel(place, 255)
    image.save(tmp_path / "dots.png")
    assert sketch.picture(tmp_path / "dots.png", 10) == "⠑⡈\n⠀⠈"


@pytest.mark.parametrize("width", [1, 7, 50])
def test_a_wide_picture_is_made_as_wide_as_the_terminal(tmp_path: Path, width: int) -> None:
    Image.new("RGB", (300, 120), "white").save(tmp_path / "white.png")
    lines = sketch.picture(tmp_path / "white.png", width).split("\n")
    assert {len(line) for line in lines} == {width}
    assert lines[0] == "⣿" * width or width == 1  # a dot high, it is no whole character
    assert abs(len(lines) - width * 2 * 120 / 300 / 4) < 1
