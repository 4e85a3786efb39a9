"""A brand campaign: every product in the brand's style, the products themselves in their own colours.

    python examples/brand_campaign.py

writes runs/brand/: the products and masks (drawn here; put yours there), the style's statistics, a picture for each
product, and a sheet of them all. With your files, in a shell:

    impasto style brand.jpg --save-style brand.style
    for f in products/*.png; do
        impasto style "$f" brand.style --protect "masks/$(basename "$f")" --strength 1.5 -o "campaign/$(basename "$f")"
    done
"""

from pathlib import Path

import torch
from products import products

import impasto
from impasto.bundled import ASSETS
from impasto.media import picture
from impasto.media.grids import grid
from impasto.media.picture import Picture, fit
from impasto.style import source

OUT = Path("runs/brand")


def main() -> None:
    for folder in ("products", "masks", "campaign"):
        (OUT / folder).mkdir(parents=True, exist_ok=True)
    style = OUT / "brand.style"
    source.save(picture.read(ASSETS / "styles" / "facets.jpg"), style)
    shown = []
    for name, (photograph, mask) in products().items():
        photograph.save(OUT / "products" / f"{name}.png")
        mask.save(OUT / "masks" / f"{name}.png")
        result = impasto.stylize(
            OUT / "products" / f"{name}.png", style, protect=OUT / "masks" / f"{name}.png", strength=1.5
        )
        result.save(OUT / "campaign" / f"{name}.png")
        print(OUT / "campaign" / f"{name}.png", flush=True)
        shown += [picture.read(OUT / "products" / f"{name}.png").pixels, result.pixels]
    sheet = torch.cat([fit(pixels, 320) for pixels in shown[0::2] + shown[1::2]])
    Picture(grid(sheet, len(shown) // 2)).save(OUT / "sheet.jpg")
    print(OUT / "sheet.jpg")


if __name__ == "__main__":
    main()
