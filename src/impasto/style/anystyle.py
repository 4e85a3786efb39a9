"""Any style in one pass: each place of the content gets one of the painting, and a decoder paints what they say.

The encoder is the frozen compact network, which sees the halved and the quartered picture. Each layer's features are
moved by the closed-form transport map between Gaussians, where Li et al. (2017, arXiv:1705.08086, "Universal Style
Transfer via Feature Transforms") whiten and colour them. What they have become is matched to points of the style
(`cloud.py`), as Chen and Schmidt (2016, arXiv:1612.04337, "Style-Swap") do. The decoder is given both, the moved
features of the content and the style's own where they match, and makes a picture of them, coarse to fine. It starts
from the matched places of the painting, laid side by side and given the colours of all of it, and learns what to add:
that places join, and that the content is there again. So little is left of the loss that `fine` minimises by steps on
the pixels. Told all of the content's finer features it would keep the photograph, so in training it is told a random
share of them, and judged as `fine` is with as much freedom. It also learns to paint what moves as it painted it before,
from contents moved along smooth random flow, as Wen et al. (2023, arXiv:2303.17867, "CAP-VSTNet") do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.data.dataset import Batch
from impasto.errors import SettingsError
from impasto.gaussian import Affine, measure, monge, rows
from impasto.perception import registry
from impasto.perception.compact import TAPS
from impasto.perception.flow import inside, warp
from impasto.perception.vgg import pad
from impasto.style.cloud import PIXELS, Cloud, averages_of, collected, features_of, places
from impasto.style.objective import Extractor, LayerMoments, Region, objective_for
from impasto.style.settings import FINE, Settings
from impasto.training.contract import Update

LAYERS = tuple(TAPS)[:3]
STAGES = (  # what the decoder is given, at strides of 16, 8, 4 and 2 pixels
    ("2/block3_conv1",),
    ("1/block3_conv1", "2/block2_conv1"),
    ("1/block2_conv1", "2/block1_conv1"),
    ("1/block1_conv1",),
)
TOLD = 2  # stages, the coarsest, which are always told of the content; the finer ones as much as there is no freedom
LEVELS = (1, 2)  # how often the picture is halved before the encoder sees it
ALIGNMENT = 16  # pixels: sides of what the network sees are multiples of the coarsest stride
SMALLEST = 128  # pixels: a smaller picture's quarter has too few features to take statistics of
DRIFT = 4.0  # pixels, deviation of the random flow that contents are moved along
GRAIN = 0.01  # deviation of the noise that is added to them, as cameras and codecs do
REACH = 192  # pixels that can influence a pixel, on each side: 80 of the encoder, 106 of the decoder, rounded up

Features = dict[str, Tensor]  # [N, C, h, w], of a picture and of each layer of its reductions: see AnyStyle.encode


@dataclass(frozen=True, kw_only=True)
class AnyStyleConfig:
    """What the decoder is made of, and what its training minimises."""

    channels: int = 6  # of the pictures it is trained on: a content, and a style behind it
    size: int = 192  # their side, pixels
    classes: int = 0  # there are none
    widths: tuple[int, ...] = (128, 128, 64, 32)  # features of the stages
    range_weight: float = 10.0  # of pixels' squared distance to [0, 1]
    temporal_weight: float = 10.0  # of the squared difference between a painting moved and the moved content's painting


class Stage(nn.Module):
    """Features of one stride, from those of the coarser one and from what the encoder saw."""

    def __init__(self, coarser: int, seen: int, width: int):
        super().__init__()
        self.lift = nn.Conv2d(coarser, width, 3) if coarser else None
        self.join = nn.Conv2d(seen, width, 3)
        self.refine = nn.ModuleList([nn.Conv2d(width, width, 3), nn.Conv2d(width, width, 3)])

    def forward(self, coarser: Tensor | None, seen: Tensor, scale: Tensor) -> Tensor:
        """Features [N, width, h, w].

        Args:
            coarser: those of the coarser stage, half as many each way.
            seen: [N, C, h, w].
            scale: [C], what is usual in `seen`: the weights are divided by it, for they are fewer.
        """
        x = F.conv2d(pad(seen, "replicate"), self.join.weight / scale[:, None, None], self.join.bias)
        if self.lift is not None and coarser is not None:
            x = x + F.interpolate(_activated(self.lift, coarser), scale_factor=2)
        first, second = self.refine
        return x + _activated(second, _activated(first, x))


def _activated(convolution: nn.Module, x: Tensor) -> Tensor:
    """A convolution of what in `x` is positive."""
    return convolution(F.relu(pad(x, "replicate"), inplace=True))


class AnyStyle(nn.Module):
    """The decoder with its encoder, under the contract that the trainer knows (training/contract.py).

    The encoder is the bundled compact network, frozen; it is no part of the weights that are saved.

    Raises:
        SettingsError: pictures of a size that cannot be looked at.
    """

    config_class = AnyStyleConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "fine": {"batch": 3, "rate": 2e-3, "optimiser": "muon", "clip": 0.0, "steps": 16_000, "report_every": 1000}
    }

    def __init__(self, config: AnyStyleConfig):
        super().__init__()
        if config.size % ALIGNMENT or config.size < SMALLEST:
            raise SettingsError(f"size is {SMALLEST} or more and a multiple of {ALIGNMENT}, not {config.size}")
        self.config = config
        self._encoder = (registry.load("compact"),)  # in a tuple, so that it is no submodule
        self.shown: Tensor | None = None  # [N, 6, S, S], what `sampling` paints
        seen = [2 * sum(TAPS[name[2:]] for name in names) for names in STAGES]
        seen[-1] += 12  # the pixels it starts from
        coarser = (0, *config.widths[:-1])
        self.stages = nn.ModuleList(map(Stage, coarser, seen, config.widths))
        self.last = nn.Conv2d(config.widths[-1], 12, 3)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)  # the first guess: places of the painting, side by side
        for number, channels in enumerate(seen):  # usual size of each feature, found at the first step
            self.register_buffer(f"scale_{number}", torch.zeros(channels))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def device(self) -> torch.device:
        return self.last.weight.device

    @classmethod
    def preset_for(cls, config: AnyStyleConfig) -> str:
        """The only one: the loss of the quality `fine`."""
        return "fine"

    @property
    def encoder(self) -> nn.Module:
        """The compact network, on the device of the decoder."""
        return self._encoder[0].to(self.device)

    def forward(self, moved: Features, matched: Features, freedom: float) -> Tensor:
        """A picture [N, 3, H, W]; not yet clipped to [0, 1].

        Args:
            moved: features of the content, moved onto the style's statistics.
            matched: those of the style where it is matched, and its pixels.
            freedom: how little it is told of the content's finer features, from 0 to 1.
        """
        x, device = None, self.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
        for number, (stage, seen) in enumerate(zip(self.stages, _seen(moved, matched, freedom, dtype), strict=True)):
            x = stage(x, seen, getattr(self, f"scale_{number}"))
        assert x is not None
        return matched[PIXELS] + F.pixel_shuffle(_activated(self.last, x), 2).float()

    @torch.no_grad()
    def encode(self, picture: Tensor) -> Features:
        """The float32 features of `picture` [N, 3, H, W], sides multiples of 16: "pixels", "1/block2_conv1", ..."""
        found, seen = {PIXELS: picture}, picture
        for level in LEVELS:
            seen = F.interpolate(seen, scale_factor=0.5, mode="bilinear", antialias=True)
            found |= {f"{level}/{layer}": f.float() for layer, f in self.encoder(seen, LAYERS).items()}
        return found

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"model": list(self.parameters())}

    def updates(self, batch: Batch) -> Iterator[Update]:
        """What `fine` minimises, of each content painted in the style beside it, with as much freedom as chance has."""
        contents, styles = batch.images.split(3, 1)
        freedom = torch.rand(()).item()
        seen = [guided(*pair) for pair in zip(_each(self.encode(contents)), _each(self.encode(styles)), strict=True)]
        moved, matched = _batch([s.moved for s in seen]), _batch([s.matched for s in seen])
        if not self.get_buffer("scale_0").any():
            for number, f in enumerate(_seen(moved, matched, freedom=0)):
                self.get_buffer(f"scale_{number}").copy_(f.square().mean((0, 2, 3)).sqrt())
        painted = self(moved, matched, freedom)
        flicker = self._flicker(contents[:1], seen[0], painted[:1], freedom)  # of one in a batch, to save time

        device = contents.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        pictures = zip(contents.split(1), styles.split(1), painted.detach().split(1), seen, strict=True)
        with torch.enable_grad(), torch.autocast(device, enabled=False):
            found = [self._judged(*picture, freedom, dtype) for picture in pictures]
        means = {name: sum(terms[name] for terms, _ in found) / len(found) for name in ("style", "content")}
        outside = (painted - painted.clamp(0, 1)).square().mean()
        directed = (painted * torch.cat([gradient for _, gradient in found])).sum() / len(found)
        # The objectives have given their gradients already; `directed` brings them here and adds nothing to the value.
        loss = sum(means.values()) + directed - directed.detach()
        loss = loss + self.config.range_weight * outside + self.config.temporal_weight * flicker
        yield Update("model", loss, {**means, "outside": outside, "flicker": flicker})

    def _judged(
        self,
        content: Tensor,
        style: Tensor,
        painted: Tensor,
        seen: "Guided",
        freedom: float,
        dtype: torch.dtype | None,
    ) -> tuple[dict[str, float], Tensor]:
        """Terms of the loss of `fine`, which shall find the points that the decoder was given; and the gradient."""
        method = Settings(freedom=freedom).resolved()
        extractor = Extractor(
            self.encoder,
            dict.fromkeys(method.style_layers, 1.0),
            method.content_layers,
            method.match_layers,
            method.levels,
            dtype=dtype,
        )
        region = Region(extractor.statistics(style), cloud=Cloud(extractor.points(style)))
        objective = objective_for(extractor, [region], content, method)
        objective.matches.append(seen.votes)
        return objective.gradient(painted)

    def _flicker(self, content: Tensor, seen: "Guided", painted: Tensor, freedom: float) -> Tensor:
        """Mean squared difference of `painted`, moved along a random flow, and of the moved content painted anew.

        What was matched moves with it.
        """
        coarse = DRIFT * torch.randn(1, 2, 4, 4, device=content.device)
        flow = F.interpolate(coarse, content.shape[2:], mode="bicubic", align_corners=True)

        def moved(f: Tensor) -> Tensor:
            stride = flow.shape[2] // f.shape[2]
            return warp(f, F.avg_pool2d(flow, stride) / stride)

        noisy = (moved(content) + GRAIN * torch.randn_like(content)).clamp(0, 1)
        features = {name: seen.maps[name](f) for name, f in self.encode(noisy).items()}
        again = self(features, {name: moved(f) for name, f in seen.matched.items()}, freedom)
        return ((again - warp(painted, flow)).square() * inside(flow)).mean()

    @torch.no_grad()
    def sampling(self, n: int, **_: Any) -> Iterator[Tensor]:
        """The first `n` pairs in `shown`, painted, if there are any: what the trainer's reports show."""
        if self.shown is None:
            return
        contents, styles = self.shown[:n].to(self.device).split(3, 1)
        pairs = zip(contents.split(1), styles.split(1), strict=True)
        seen = [guided(self.encode(content), self.encode(style)) for content, style in pairs]
        moved, matched = _batch([s.moved for s in seen]), _batch([s.matched for s in seen])
        yield self(moved, matched, FINE.freedom).clamp(0, 1)


@dataclass(frozen=True)
class Guided:
    """What the decoder is given of one content and one style."""

    maps: dict[str, Affine]  # by feature: onto the style's statistics
    moved: Features
    matched: Features
    votes: Tensor  # [1, 9, h, w], which points of the style are matched, as Cloud.votes


@torch.no_grad()
def guided(content: Features, style: Features) -> Guided:
    """A whole picture [1, 3, H, W] guided by a whole style."""
    found, wanted = moments_of(content), moments_of(style)
    maps = {name: monge(found[name], wanted[name]) for name in content}
    moved = {name: maps[name](f) for name, f in content.items()}
    height, width = style[PIXELS].shape[2:]
    cloud = Cloud(collected(every := places(height, width), [(every.patches[:, 0], style)]))
    votes = votes_for(cloud, queries_for(cloud, averages_of(moved)))
    matched = said_by(cloud, votes)
    colours = monge(measure(matched[PIXELS]), wanted[PIXELS])  # of the whole style, as vivid: see draft.Guide
    return Guided(maps, moved, matched | {PIXELS: colours(matched[PIXELS])}, votes)


def columns_for(cloud: Cloud, averages: Features) -> Tensor:
    """What places are compared by in `cloud` [1, d, h, w], centred by its mean.

    Args:
        averages: of features, as `averages_of` gives them.
    """
    height, width = next(iter(averages.values())).shape[2:]
    columns = cloud.columns({name: rows(average) for name, average in averages.items()})
    return (columns - cloud.centre).T.view(1, -1, height, width)


def queries_for(cloud: Cloud, averages: Features) -> Tensor:
    """What is looked for in `cloud` at each place, [1, d, h, w] of length 1.

    Args:
        averages: as for `columns_for`, of features that were moved onto the style's statistics.
    """
    return F.normalize(columns_for(cloud, averages), dim=1)


def votes_for(cloud: Cloud, queries: Tensor, inside: Tensor | None = None) -> Tensor:
    """The points of `cloud` that speak for each place [1, 9, h, w], as Cloud.votes.

    Args:
        inside: [1, 1, h, w], how much each place counts; all do by default.
    """
    return cloud.votes(cloud.match(queries, inside, quick=True))


def said_by(cloud: Cloud, votes: Tensor) -> Features:
    """Features of the style where it is matched: of places at which the points of `votes` [1, 9, h, w] speak."""
    said, grid = rows(votes), votes.shape[2:]
    found = features_of(cloud.meant(said), cloud.points.channels, *grid)
    return found | features_of(cloud.pixels(said), {PIXELS: 3}, *grid)


def moments_of(features: Features, mask: Tensor | None = None) -> LayerMoments:
    """Statistics of the features [1, C, h, w] of `encode`, weighted by `mask` [1, 1, H, W] when given."""
    with torch.autocast(features[PIXELS].device.type, enabled=False):  # in bfloat16 they would be too coarse
        return {name: measure(f, mask) for name, f in features.items()}


def flat(levels: Sequence[LayerMoments]) -> LayerMoments:
    """The statistics of a picture at its reductions (`Extractor.statistics`), by the names that `encode` gives them."""
    return {f"{level}/{layer}": levels[level][layer] for level in LEVELS for layer in LAYERS}


def _seen(moved: Features, matched: Features, freedom: float, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """What each stage is given, [N, C, H / stride, W / stride], channels-last, as convolutions are fastest."""
    stages = []
    for number, names in enumerate(STAGES):
        told = 1.0 if number < TOLD else 1 - freedom
        parts = [*(told * moved[name] for name in names), *(matched[name] for name in names)]
        if number == len(STAGES) - 1:
            parts.append(F.pixel_unshuffle(matched[PIXELS] - 0.5, 2))
        stages.append(torch.cat([part.to(dtype, memory_format=torch.channels_last) for part in parts], 1))
    return stages


def _each(features: Features) -> Iterator[Features]:
    """Of a batch of N pictures, the features of each."""
    for i in range(len(features[PIXELS])):
        yield {name: f[i : i + 1] for name, f in features.items()}


def _batch(features: Sequence[Features]) -> Features:
    return {name: torch.cat([f[name] for f in features]) for name in features[0]}
