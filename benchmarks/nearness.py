"""How near the places of a picture come to those of a painting, judged by AlexNet, which no quality uses.

Features: ReLU 1 in 3x3 patches, ReLU 2 in 2x2, ReLU 3; of both pictures at the same long side and at half of it; all
centred by the painting's mean and normalised; at most 6,000 places, drawn with seed 0.
  fidelity  mean over the places of the picture of 1 - the best cosine in the painting
  coverage  the other way round
"""

from pathlib import Path
from typing import NamedTuple

from impasto.media.picture import fit

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

PLACES = 6000  # at most
PATCHES = (3, 2, 1)  # side of the patches of each layer
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Nearness(NamedTuple):
    fidelity: float
    coverage: float


class Judge:
    """AlexNet with LPIPS's weights on its layers (Zhang et al. 2018, arXiv:1801.03924), from a safetensors file."""

    def __init__(self, file: Path):
        self.weights = {name: tensor.float() for name, tensor in load_file(file).items()}

    @torch.no_grad()
    def features(self, pixels: Tensor) -> list[Tensor]:
        """The five ReLUs of `pixels` [1, 3, H, W] in [0, 1]."""
        x, w, found = (pixels - _row(MEAN)) / _row(DEVIATION), self.weights, []
        for name, stride, padding in (("0", 4, 2), ("3", 1, 2), ("6", 1, 1), ("8", 1, 1), ("10", 1, 1)):
            if name in ("3", "6"):
                x = F.max_pool2d(x, 3, 2)
            x = F.conv2d(x, w[f"features.{name}.weight"], w[f"features.{name}.bias"], stride, padding).relu()
            found.append(x)
        return found

    def nearness(self, result: Tensor, painting: Tensor) -> Nearness:
        """Of pixels [1, 3, H, W] to those of a painting, at the long side of `result`."""
        side = max(result.shape[2:])
        found: list[tuple[float, float]] = []
        for long_side in (side, side // 2):
            pairs = (self.features(fit(p, long_side)) for p in (result, painting))
            for ours, theirs, patch in zip(*pairs, PATCHES, strict=False):
                a, b = (F.unfold(f, patch)[0].T for f in (ours, theirs))
                a, b = (F.normalize(rows - b.mean(0), dim=1) for rows in (_some(a), _some(b)))
                cosines = a @ b.T
                found.append(((1 - cosines.amax(1)).mean().item(), (1 - cosines.amax(0)).mean().item()))
        return Nearness(*(sum(values) / len(values) for values in zip(*found, strict=True)))

    def half_against_half(self, painting: Tensor, side: int) -> Nearness:
        """The left half of a painting against its right half."""
        painting = fit(painting, side)
        middle = painting.shape[3] // 2
        return self.nearness(painting[..., :middle], painting[..., middle:])

    def lpips(self, a: Tensor, b: Tensor) -> float:
        """LPIPS v0.1 of two pictures [1, 3, H, W] of one size."""
        total = 0.0
        for index, (f, g) in enumerate(zip(self.features(a), self.features(b), strict=True)):
            difference = (F.normalize(f, dim=1, eps=1e-10) - F.normalize(g, dim=1, eps=1e-10)).square()
            total += (difference * self.weights[f"lpips.{index}"].view(1, -1, 1, 1)).sum(1).mean().item()
        return total


def _row(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)


def _some(rows: Tensor) -> Tensor:
    """`PLACES` rows at most, the same for the same number of rows."""
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:PLACES]]
