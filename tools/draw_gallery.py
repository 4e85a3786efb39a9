"""Draw the pictures of the README with the tool itself: `python tools/draw_gallery.py` writes docs/pictures/.

Photographs: those inside the scikit-image package (public domain or CC0). Styles: the bundled ones.
"""

from pathlib import Path

import skimage.data
from PIL import Image

import impasto
from impasto.bundled import ASSETS
from impasto.cli.demo import PHOTOS

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
PAIRS = (("rocket", "swirl"), ("chelsea", "mosaic"), ("coffee", "facets"))
LONG_SIDE = 640
FREEDOM = 0.7  # bolder than the default
ROW = 300  # height of a row of the sheet, pixels


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    rows = []
    for photo, style in PAIRS:
        photo_file = Path(skimage.data.__file__).parent / PHOTOS[photo]
        style_file = ASSETS / "styles" / f"{style}.jpg"
        target = FOLDER / f"{photo}-{style}.jpg"
        impasto.stylize(photo_file, style_file, size=LONG_SIDE, freedom=FREEDOM).save(target)
        print(target)
        rows.append([photo_file, style_file, target])
    cells = [[scaled(path) for path in row] for row in rows]
    width = max(sum(cell.width for cell in row) + 2 * 6 for row in cells)
    sheet = Image.new("RGB", (width, len(cells) * (ROW + 6) - 6), "white")
    for y, row in enumerate(cells):
        x = (width - sum(cell.width for cell in row) - 2 * 6) // 2
        for cell in row:
            sheet.paste(cell, (x, y * (ROW + 6)))
            x += cell.width + 6
    sheet.save(FOLDER / "gallery.jpg", quality=88)


def scaled(path: Path) -> Image.Image:
    image = Image.open(path).convert("RGB")
    return image.resize((round(image.width * ROW / image.height), ROW), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
