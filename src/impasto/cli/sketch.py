"""Curves and pictures in characters, for those who watch a terminal."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

WIDTH = 100  # characters, at most
BARS = "▁▂▃▄▅▆▇█"
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille character: four rows of two


def run(folder: Path) -> str:
    """What the run in `folder` has learnt so far: a line for each loss and metric, and its last sheet of samples."""
    from impasto.training.reports import read_metrics

    lines = [line["train"] for line in read_metrics(folder)]
    shown, width = [], min(WIDTH, shutil.get_terminal_size().columns)
    names = list(dict.fromkeys(name for line in lines for name in line))
    for name in names:
        values = [line[name] for line in lines if math.isfinite(line.get(name, math.nan))]
        if values:
            shown.append(f"{name:>{max(map(len, names))}}  {curve(values)}  {values[0]:.4g} to {values[-1]:.4g}")
    shown += [picture(sheet, width) for sheet in sorted((folder / "samples").glob("*.png"))[-1:]]
    return "\n".join(shown)


def curve(values: Sequence[float], width: int = 40) -> str:
    """`values` as bars, of which each is the mean of as many as are needed to make at most `width`."""
    each = -(-len(values) // width)
    means = [sum(part) / len(part) for part in (values[i : i + each] for i in range(0, len(values), each))]
    low, high = min(means), max(means)
    return "".join(BARS[round((mean - low) / (high - low or 1) * (len(BARS) - 1))] for mean in means)


def picture(path: Path, width: int) -> str:
    """The picture at `path` in at most `width` characters a line, of two by four dots each; what is light is a dot."""
    from PIL import Image

    with Image.open(path) as image:
        across = min(2 * width, image.width)
        dots = image.convert("L").resize((across, round(image.height * across / image.width)), Image.Resampling.BOX)
    lit = dots.point(lambda level: 255 * (level >= 110)).load()
    assert lit is not None

    def character(left: int, top: int) -> str:
        there = [
            bit
            for y, bits in enumerate(DOTS, top)
            for x, bit in enumerate(bits, left)
            if x < dots.width and y < dots.height and lit[x, y]
        ]
        return chr(0x2800 + sum(there))

    rows = range(0, dots.height, len(DOTS))
    return "\n".join("".join(character(x, y) for x in range(0, dots.width, 2)) for y in rows)
