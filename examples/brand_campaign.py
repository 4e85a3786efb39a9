"""A brand campaign from one file: products before painted backgrounds, a photograph in the brand's colours, a paper.

    python examples/brand_campaign.py

writes runs/brand/: the products and masks (drawn here; put yours there), campaign.csv, all that it asks for, with a
manifest, and a sheet. Run again, it paints only what has changed. With your files, in a shell:

    impasto style brand.jpg --save-style brand.style
    impasto batch campaign.csv -o campaign
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from products import products
from skimage import data
from torch import Tensor

from impasto.batch.run import running
from impasto.batch.tasks import read_csv
from impasto.batch.work import paint
from impasto.bundled import STYLES
from impasto.media import picture
from impasto.media.grids import grid
from impasto.media.picture import Picture, resize
from impasto.style import source
from impasto.style.settings import Settings

OUT = Path("runs/brand")
BRAND = STYLES["facets"]
CELL = 320  # pixels, of the sheet
MEMORY = 3.0  # GB


def main() -> None:
    for folder in ("products", "masks", "campaign"):
        (OUT / folder).mkdir(parents=True, exist_ok=True)
    source.save(picture.read(BRAND), OUT / "brand.style")
    for name, (photograph, mask) in products().items():
        photograph.save(OUT / "products" / f"{name}.png")
        mask.save(OUT / "masks" / f"{name}.png")
    Image.fromarray(data.coffee()).resize((512, 342)).save(OUT / "mood.jpg")
    with (OUT / "campaign.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines())

    tasks = read_csv(OUT / "campaign.csv", OUT / "campaign", Settings(), ".png", STYLES)
    for at in running(tasks, OUT / "campaign", lambda left: ((task, paint(task, MEMORY)) for task in left)):
        if at.record:
            print(OUT / "campaign" / at.record["output"], at.record["status"], flush=True)
    before = [squared(file) for file in sorted((OUT / "products").glob("*.png"))] + [squared(OUT / "mood.jpg")]
    after = [squared(OUT / "campaign" / f"{name}.png") for name in (*sorted(products()), "mood")]
    paper = picture.read(OUT / "campaign" / "paper.png").pixels
    shown = [*before, squared(BRAND), *after, resize(paper.repeat(1, 1, 2, 2), CELL, CELL)]
    Picture(grid(torch.cat(shown), len(shown) // 2)).save(OUT / "sheet.jpg")
    print(OUT / "sheet.jpg")


def lines() -> Iterator[tuple[str, ...]]:
    """Of the file: the names of the columns, and a line for each picture."""
    yield "command", "content", "style", "protect", "output", "strength", "seamless"
    for name in products():
        yield "style", f"products/{name}.png", "brand.style", f"masks/{name}.png", f"{name}.png", "1.5", ""
    yield "grade", "mood.jpg", "facets", "", "mood.png", "0.8", ""
    yield "texture", "", "facets", "", "paper.png", "", "both"


def squared(file: Path) -> Tensor:
    """The middle of a picture, [1, 3, CELL, CELL]."""
    pixels = picture.read(file).pixels
    height, width = pixels.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return resize(pixels[..., top : top + side, left : left + side], CELL, CELL)


if __name__ == "__main__":
    main()
