"""What does `fine` gain by beginning with a draft? Its own loss, against going from coarse to fine. One command.

    python benchmarks/fine_start.py

Four photographs in four bundled styles. Peer: `--init style`, the content in the style's colours, optimised from about
100 pixels up to the full size. Loss is that of the full size, what both minimise; steps are those at full size.
"""

import argparse
import time

from impasto import bundled
from impasto.device import configure_threads
from impasto.media.picture import Picture, fit
from impasto.style.settings import Settings
from impasto.style.stylize import Job, running

import numpy as np
import torch
from skimage import data

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="long side, pixels")
    args = parser.parse_args()
    print(f"{configure_threads()} threads, long side {args.size}")
    rows = []
    for name, style in zip(PHOTOGRAPHS, sorted((bundled.ASSETS / "styles").glob("*.jpg")), strict=False):
        photo = torch.from_numpy(np.asarray(getattr(data, name)())).permute(2, 0, 1)[None].float() / 255
        job = Job(Picture(fit(photo, args.size)), [style])
        drafted, seconds = losses(job, args.size, "draft")
        peer, peer_seconds = losses(job, args.size, "style")
        enough = next((i for i, loss in enumerate(drafted, 1) if loss <= peer[-1]), None)
        rows.append((drafted[0], drafted[-1], peer[-1], seconds, peer_seconds))
        print(
            f"{name:>10} in {style.stem:<8} {drafted[0]:.4f}, after {len(drafted)} steps {drafted[-1]:.4f} in "
            f"{seconds:.1f} s; peer {peer[-1]:.4f} in {peer_seconds:.1f} s, reached after {enough or 'more'} steps",
            flush=True,
        )
    begun, ended, peer_ended, took, peer_took = np.mean(rows, 0)
    print(f"      mean: {begun:.4f}, {ended:.4f} in {took:.1f} s; peer {peer_ended:.4f} in {peer_took:.1f} s")


def losses(job: Job, size: int, init: str) -> tuple[list[float], float]:
    """The loss before each step at full size, and the seconds of the whole run."""
    begun = time.perf_counter()
    run = list(running(job, Settings(size=size, init=init)))
    return [step.loss for step in run if step.scale == step.scales], time.perf_counter() - begun


if __name__ == "__main__":
    main()
