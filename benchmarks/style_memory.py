"""Peak resident memory of `impasto style`, each run in a process of its own. One command, one table.

    python benchmarks/style_memory.py

`fine` takes few steps: memory does not grow with steps.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from impasto import bundled

import numpy as np
from PIL import Image
from skimage import data

STYLE = bundled.ASSETS / "styles" / "swirl.jpg"
RUNS = ((512, 384), (1024, 768), (4096, 3072))  # width, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2, help="of `fine`")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for width, height in RUNS:
            photo = Path(folder) / "photo.jpg"
            Image.fromarray(np.asarray(data.coffee())).resize((width, height)).save(photo)
            command = [sys.executable, "-m", "impasto", "style", str(photo), str(STYLE), "-o", f"{folder}/out.jpg"]
            command += ["--size", str(width)]
            draft, fine = (peak(command + more) for more in (["--quality", "draft"], ["--steps", str(args.steps)]))
            print(f"{width}x{height}: draft {draft / 1e9:.2f} GB, fine {fine / 1e9:.2f} GB", flush=True)


def peak(command: list[str]) -> float:
    """Largest resident set of `command`, bytes (getrusage counts kilobytes on Linux, bytes on macOS)."""
    code = f"import resource, subprocess; subprocess.run({command!r}, check=True, stdout=subprocess.DEVNULL);"
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(found.stdout) * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
