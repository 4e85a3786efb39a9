"""Fashion: a print without a seam from a painting, and how it looks on a garment.

    python examples/fashion_print.py

writes runs/fashion/: the print, the print repeated, and the garment (drawn here) wearing it. In a shell, the print is

    impasto texture painting.jpg --seamless both --scale 0.6 -o print.png
"""

from pathlib import Path

import torch
from products import garment

from impasto.bundled import ASSETS
from impasto.media import picture
from impasto.media.picture import Picture, fit
from impasto.style.settings import Settings
from impasto.style.texture import Job, synthesising

OUT = Path("runs/fashion")


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    job = Job([ASSETS / "styles" / "mosaic.jpg"], seamless="both", scale=0.6)
    *_, last = synthesising(job, Settings())
    last.result().save(OUT / "print.png")

    shirt, mask = garment()
    shirt.save(OUT / "garment.png")
    mask.save(OUT / "mask.png")
    cloth, cover = (picture.read(OUT / name).pixels for name in ("garment.png", "mask.png"))
    motif = fit(last.result().pixels, cloth.shape[3] // 3)  # three repeats across
    across, down = (-(-cloth.shape[axis] // motif.shape[axis]) for axis in (3, 2))
    cover = cover[:, :1]
    repeated = motif.repeat(1, 1, down, across)[..., : cloth.shape[2], : cloth.shape[3]]
    Picture(repeated).save(OUT / "repeated.png")
    worn = torch.lerp(cloth, repeated * cloth / cloth.amax(), cover)  # the cloth's own light and folds over the print
    Picture(worn).save(OUT / "worn.png")
    for name in ("print.png", "repeated.png", "worn.png"):
        print(OUT / name)


if __name__ == "__main__":
    main()
