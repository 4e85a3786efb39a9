"""How a GAN, a VAE and a diffusion model learn: `python tools/draw_learning.py` writes docs/pictures/learning-*.gif.

Each is trained for 2.5 minutes on drawn digits, and its samples, always of the same latents, follow each other.
"""

import subprocess
import tempfile
from pathlib import Path

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
STEPS_BETWEEN = {"gan": 100, "vae": 150, "diffusion": 30}  # two sheets of samples


def main() -> None:
    for family, between in STEPS_BETWEEN.items():
        with tempfile.TemporaryDirectory() as folder:
            run, film = f"{folder}/run", PICTURES / f"learning-{family}.gif"
            report = ("--set", f"report_every={between}")
            subprocess.run(("impasto", "train", family, "--data", "glyphs", "--quick", *report, "-o", run), check=True)
            subprocess.run(("impasto", "replay", run, "-o", film), check=True)


if __name__ == "__main__":
    main()
