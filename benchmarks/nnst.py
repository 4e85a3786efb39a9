"""Neural Neighbor Style Transfer after its paper (Kolkin et al. 2022, arXiv:2203.13215), to compare with.

VGG-16, conv1_1 to conv4_3, as hypercolumns on the grid of conv3; an 8-level Laplacian pyramid of the pixels, Adam at
2e-3, 200 updates at each of 64, 128, 256, 512 pixels towards neighbours that are chosen once a scale, from three parts
of the content's features and one of the picture's; then 200 updates in which each layer chooses its own neighbours at
every step. The paper's last step, which moves colours, is left out: it changes no texture.
"""

from collections.abc import Callable
from pathlib import Path

from impasto.device import autocast_dtype
from impasto.media.picture import fit
from impasto.perception.vgg import VGG16
from impasto.style.optimise import collapsed, laplacian

import torch
import torch.nn.functional as F
from torch import Tensor

LAYERS = tuple(f"block{b}_conv{i}" for b, n in enumerate((2, 2, 3, 3), 1) for i in range(1, n + 1))
SIDES, UPDATES, RATE, BANDS, CONTENT_SHARE = (64, 128, 256, 512), 200, 2e-3, 8, 0.75
ROWS = 2048


class Peer:
    def __init__(self, weights: Path) -> None:
        self.network = VGG16(weights, padding="replicate")

    def columns(self, pixels: Tensor) -> list[Tensor]:
        """Features of each layer [places, C], on the grid of a quarter of the pixels."""
        with _mixed():
            features = self.network(pixels, LAYERS)
        grid = (pixels.shape[2] // 4, pixels.shape[3] // 4)
        return [F.interpolate(f.float(), grid, mode="bilinear")[0].flatten(1).T for f in features.values()]

    def paint(self, content: Tensor, style: Tensor, updates: int = UPDATES) -> Tensor:
        """The content [1, 3, H, W] in the manner of the style, at 512 pixels."""
        picture = None
        for side in SIDES:
            target, painting = fit(content, side), fit(style, side)
            with torch.no_grad():
                wanted, guide = self.columns(painting), _together(self.columns(target))
                if picture is None:
                    picture = painting.mean((2, 3), keepdim=True) + target - target.mean((2, 3), keepdim=True)
                else:
                    picture = F.interpolate(picture, target.shape[2:], mode="bilinear")
                own = _together(self.columns(picture))
                aim = _together(wanted)[_nearest(CONTENT_SHARE * guide + (1 - CONTENT_SHARE) * own, _together(wanted))]
            picture = self._descend(picture, updates, lambda found, aim=aim: _distance(_together(found), aim))

        def by_layer(found: list[Tensor]) -> Tensor:
            pairs = zip(found, wanted, strict=True)
            return torch.stack([_distance(f, w[_nearest(f.detach(), w)]) for f, w in pairs]).mean()

        return self._descend(picture, updates, by_layer).clamp(0, 1)

    def _descend(self, picture: Tensor, updates: int, loss: Callable[[list[Tensor]], Tensor]) -> Tensor:
        bands = [band.clone().requires_grad_() for band in laplacian(picture, BANDS)]
        adam = torch.optim.Adam(bands, lr=RATE)
        for _ in range(updates):
            adam.zero_grad()
            loss(self.columns(collapsed(bands).clamp(0, 1))).backward()
            adam.step()
        return collapsed(bands).detach()


def _mixed() -> torch.autocast:
    """As our own qualities compute: in bfloat16 where the processor is quick at it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=autocast_dtype(torch.device("cpu")) is not None)


def _together(features: list[Tensor]) -> Tensor:
    """Hypercolumns [places, D]: all layers, each normalised."""
    return torch.cat([F.normalize(f, dim=1) for f in features], 1)


def _nearest(queries: Tensor, points: Tensor) -> Tensor:
    points = F.normalize(points - points.mean(0), dim=1)
    queries = F.normalize(queries - queries.mean(0), dim=1)
    with _mixed():
        return torch.cat([(part @ points.T).max(1).indices for part in queries.split(ROWS)])


def _distance(found: Tensor, wanted: Tensor) -> Tensor:
    mean = wanted.mean(0)
    return (1 - F.cosine_similarity(found - mean, wanted - mean, dim=1)).mean()
