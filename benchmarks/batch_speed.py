"""How many pictures a second does `impasto batch` paint? One process against all cores and a Ray cluster on them.

    python benchmarks/batch_speed.py

Each row is a whole command, from its start to its contact sheet, over the same pictures (parts of photographs that come
with scikit-image). Run it on a quiet machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from skimage import data

ROWS = {
    "one process, one thread": (["--processes", "1"], {"OMP_NUM_THREADS": "1"}),
    "one process, all threads": (["--processes", "1"], {}),
    "local": ([], {}),
    "ray": (["--engine", "ray"], {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--size", type=int, default=512, help="side, pixels")
    parser.add_argument("--quality", default="draft")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "in", args.pictures, args.size)
        slowest = None
        for row, (words, environment) in ROWS.items():
            out = folder / row
            command = [sys.executable, "-m", "impasto", "batch", str(folder / "in"), "swirl", "-o", str(out), "--json"]
            begun = time.perf_counter()
            ran = subprocess.run(
                [*command, "--quality", args.quality, *words],
                env=os.environ | environment,
                check=True,
                capture_output=True,
                text=True,
            )
            seconds = time.perf_counter() - begun
            slowest = slowest or seconds
            end = json.loads(ran.stdout.splitlines()[-1])
            assert end["done"] == args.pictures
            print(f"{row:25} {seconds:6.1f} s, {args.pictures / seconds:5.2f} a second, {slowest / seconds:4.2f} times "
                  f"(without start and sheet {args.pictures / end['seconds']:5.2f} a second)", flush=True)  # fmt: skip


def draw(folder: Path, pictures: int, size: int) -> None:
    """Squares of photographs, no two alike."""
    folder.mkdir()
    photos = [Image.fromarray(getattr(data, name)()) for name in ("astronaut", "chelsea", "coffee", "rocket")]
    for number in range(pictures):
        photo = photos[number % len(photos)]
        side = min(photo.size) - 2 * (number // len(photos))
        photo.crop((0, 0, side, side)).resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{number:03}.jpg")


if __name__ == "__main__":
    main()
