"""Draw samples of the bundled models: `python tools/draw_families.py` writes docs/pictures/families.png.

The first ten that each draws with seed 0, none chosen; the classes 0 to 9 where a model knows them.
"""

from pathlib import Path

import torch
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from impasto.media.grids import grid
from impasto.media.picture import to_integers
from impasto.models import library

FILE = Path(__file__).parent.parent / "docs" / "pictures" / "families.png"
MODELS = ("mnist-gan", "mnist-vae", "mnist-vae2d", "mnist-pixelcnn", "mnist-pixelrnn", "mnist-diffusion")
COLUMNS, ENLARGED, MARGIN = 10, 2, 190  # pictures in a row; times; pixels for the names


def main() -> None:
    rows = []
    for name in MODELS:
        model = library.load(name)
        labels = torch.arange(COLUMNS) if model.config.classes else None
        rows.append(model.sample(COLUMNS, labels=labels, generator=torch.Generator().manual_seed(0)))
    samples = Image.fromarray(to_integers(grid(torch.cat(rows), COLUMNS)))
    samples = samples.resize((samples.width * ENLARGED, samples.height * ENLARGED), Image.Resampling.NEAREST)
    sheet = Image.new("RGB", (MARGIN + samples.width, samples.height), "white")
    sheet.paste(samples, (MARGIN, 0))
    font, draw = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 18), ImageDraw.Draw(sheet)
    for number, name in enumerate(MODELS):
        draw.text((MARGIN - 14, (number + 0.5) * sheet.height / len(MODELS)), name, "black", font, anchor="rm")
    sheet.save(FILE, optimize=True)
    print(FILE)


if __name__ == "__main__":
    main()
