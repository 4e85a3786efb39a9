"""Draw samples of the bundled models: `python tools/draw_families.py` writes docs/pictures/families.png.

The first ten that each draws with seed 0, none chosen; the classes 0 to 9 where a model knows them. All are enlarged to
the same size.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from impasto.media.grids import grid
from impasto.media.picture import to_integers
from impasto.models import library

FILE = Path(__file__).parent.parent / "docs" / "pictures" / "families.png"
MODELS = (
    *("mnist-gan", "mnist-vae", "mnist-vae2d", "mnist-pixelcnn", "mnist-pixelrnn", "mnist-diffusion"),
    "cifar10-diffusion",
)
COLUMNS = 10  # pictures in a row
SIDE, GAP, MARGIN = 112, 3, 190  # of a picture, between two, and for the names, pixels


def main() -> None:
    rows = []
    for name in MODELS:
        model = library.load(name)
        labels = torch.arange(COLUMNS) if model.config.classes else None
        drawn = model.sample(COLUMNS, labels=labels, generator=torch.Generator().manual_seed(0))
        drawn = F.interpolate(drawn.expand(-1, 3, -1, -1), SIDE, mode="area")
        rows.append(F.pad(drawn, (0, GAP, 0, GAP), value=1))
    samples = Image.fromarray(to_integers(grid(torch.cat(rows), COLUMNS)))
    sheet = Image.new("RGB", (MARGIN + samples.width, samples.height), "white")
    sheet.paste(samples, (MARGIN, 0))
    font, draw = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 18), ImageDraw.Draw(sheet)
    for number, name in enumerate(MODELS):
        draw.text((MARGIN - 14, (number + 0.5) * sheet.height / len(MODELS)), name, "black", font, anchor="rm")
    sheet.save(FILE, optimize=True)
    print(FILE)


if __name__ == "__main__":
    main()
