"""Draw the sheet of docs/texture.md: `python tools/draw_textures.py` writes docs/pictures/textures.jpg.

A row for each bundled style: a part of it, a texture of 512x512 pixels that tiles, and its 2x2 repeats.
"""

import time
from pathlib import Path

import torch
from PIL import Image

from impasto.bundled import ASSETS
from impasto.media import picture
from impasto.media.picture import fit, to_integers
from impasto.style.settings import Settings
from impasto.style.texture import Job, synthesising

FILE = Path(__file__).parent.parent / "docs" / "pictures" / "textures.jpg"
SIDE, CELL, GAP = 512, 256, 6  # pixels


def main() -> None:
    rows = []
    for style in sorted((ASSETS / "styles").glob("*.jpg")):
        begun = time.perf_counter()
        *_, last = synthesising(Job([style], width=SIDE, height=SIDE, seamless="both"), Settings())
        print(f"{style.stem}: {time.perf_counter() - begun:.1f} s", flush=True)
        result = last.result().pixels
        repeated = result.repeat(1, 1, 2, 2)
        sample = picture.read(style).pixels[..., :SIDE, :SIDE]
        gap = torch.ones(1, 3, CELL, GAP)
        rows.append(torch.cat([fit(sample, CELL), gap, fit(result, CELL), gap, fit(repeated, CELL)], 3))
        rows.append(torch.ones(1, 3, GAP, rows[0].shape[3]))
    Image.fromarray(to_integers(torch.cat(rows[:-1], 2))).save(FILE, quality=85)
    print(FILE)


if __name__ == "__main__":
    main()
