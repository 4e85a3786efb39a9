"""How near do the colours of a look come to the reference's, and what does it do to gradients? One command, one table.

    pip install color-matcher
    python benchmarks/grade_quality.py --contents DIR --styles DIR

The i-th picture of --contents (by name) gets the colours of the i-th of --styles, by each method of `impasto grade`, by
those of color-matcher, and by scikit-image's matching of histograms.
  distance   of the distributions of colours in Oklab: mean 1-Wasserstein distance along 20 axes, hundredths
  new steps  of neighbouring pixels at most 2 levels of 255 apart, the share that becomes more than 12 apart
  seconds    for a picture of this size
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from impasto.data.folder import pictures_in
from impasto.device import configure_cpu
from impasto.media.picture import Picture, fit, read
from impasto.style.colour import oklab
from impasto.style.grade import Job, graded

import numpy as np
import torch
from color_matcher import ColorMatcher
from scipy.stats import wasserstein_distance
from skimage.exposure import match_histograms
from torch import Tensor

AXES = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), dim=1)
THEIRS = ("reinhard", "mkl", "hm", "mvgd", "hm-mvgd-hm")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contents", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512, help="long side, pixels")
    args = parser.parse_args()
    configure_cpu()
    contents, styles = ([folder / name for name in pictures_in(folder)] for folder in (args.contents, args.styles))
    pairs = [[fit(read(p).pixels, args.size) for p in pair] for pair in zip(contents, styles, strict=False)]
    methods: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"nothing": lambda photo, _: photo}
    methods |= {f"impasto, {name}": ours(name) for name in ("transport", "monge")}
    methods |= {f"color-matcher, {name}": theirs(name) for name in THEIRS}
    methods["scikit-image, histograms"] = histograms
    print(f"{'mean of ' + str(len(pairs)):>26}  distance  new steps  seconds")
    for name, method in methods.items():
        rows = []
        for photo, reference in pairs:
            begun = time.perf_counter()
            result = method(photo, reference)
            seconds = time.perf_counter() - begun
            rows.append((100 * distance(result, reference), new_steps(photo, result), seconds))
        far, steps, seconds = np.mean(rows, 0)
        print(f"{name:>26}  {far:8.2f}  {steps:9.2%}  {seconds:7.2f}", flush=True)


def ours(method: str) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda photo, style: graded(Job(source=Picture(photo), reference=Picture(style), method=method))[0].pixels


def theirs(method: str) -> Callable[[Tensor, Tensor], Tensor]:
    def matched(photo: Tensor, style: Tensor) -> Tensor:
        found = ColorMatcher().transfer(src=array(photo), ref=array(style), method=method)
        return torch.from_numpy(np.ascontiguousarray(found)).float().permute(2, 0, 1)[None].clamp(0, 255) / 255

    return matched


def histograms(photo: Tensor, style: Tensor) -> Tensor:
    found = match_histograms(array(photo), array(style), channel_axis=2)
    return torch.from_numpy(found).float().permute(2, 0, 1)[None] / 255


def array(pixels: Tensor) -> np.ndarray:
    return (pixels[0].permute(1, 2, 0) * 255).numpy().astype(np.float64)


def distance(one: Tensor, other: Tensor) -> float:
    ours, theirs = ((oklab(p)[0].flatten(1).T @ AXES.T).numpy() for p in (one, other))
    return float(np.mean([wasserstein_distance(ours[:, i], theirs[:, i]) for i in range(len(AXES))]))


def new_steps(before: Tensor, after: Tensor) -> float:
    """Of steps between neighbours that could hardly be seen, the share that can be seen now."""
    counts = torch.zeros(2)
    for axis in (2, 3):
        was, now = (p.diff(dim=axis).abs().amax(1) * 255 for p in (before, after))
        counts += torch.tensor([((was <= 2) & (now > 12)).sum(), (was <= 2).sum()])
    return (counts[0] / counts[1]).item()


if __name__ == "__main__":
    main()
