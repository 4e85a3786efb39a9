"""Any style in one pass: features of the content moved onto the style's statistics, and a decoder that paints them.

The encoder is the frozen compact network, which sees the halved and the quartered picture. Each layer's features are
moved by the closed-form transport map between Gaussians, where Li et al. (2017, arXiv:1705.08086, "Universal Style
Transfer via Feature Transforms") whiten and colour them, and the decoder makes a picture of them, coarse to fine. It
starts from a blur of the content in the style's colours and learns what to add, so that little is left of the loss that
`fine` minimises by steps on the pixels. Told all of the finest features it would copy them and change the colours, so
in training it is told a random part, or none, and learns to paint the rest. It also learns to paint what moves as it
painted it before, from contents moved along smooth random flow, as Wen et al. (2023, arXiv:2303.17867, "CAP-VSTNet")
do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.data.dataset import Batch
from impasto.errors import SettingsError
from impasto.gaussian import measure, monge
from impasto.perception import registry
from impasto.perception.compact import TAPS
from impasto.perception.flow import inside, warp
from impasto.perception.vgg import pad
from impasto.style.losses import wasserstein
from impasto.style.objective import Extractor, LayerMoments, Objective, Region
from impasto.training.contract import Update

LAYERS = tuple(TAPS)[:3]
STAGES = (  # what the decoder is given, at strides of 16, 8, 4 and 2 pixels
    ("2/block3_conv1",),
    ("1/block3_conv1", "2/block2_conv1"),
    ("1/block2_conv1", "2/block1_conv1"),
    ("1/block1_conv1",),  # the details
)
LEVELS = (1, 2)  # how often the picture is halved before the encoder sees it
BLUR = 8  # pixels, side of the squares whose mean colours the decoder starts from
ALIGNMENT = 16  # pixels: sides of what the network sees are multiples of the coarsest stride
SMALLEST = 128  # pixels: a smaller picture's quarter has too few features to take statistics of
DRIFT = 4.0  # pixels, deviation of the random flow that contents are moved along
GRAIN = 0.01  # deviation of the noise that is added to them, as cameras and codecs do
DETAIL = 0.5  # see AnyStyle.forward; of a picture at its usual strength
REACH = 192  # pixels that can influence a pixel, on each side: 80 of the encoder, 106 of the decoder, rounded up


@dataclass(frozen=True, kw_only=True)
class AnyStyleConfig:
    """What the decoder is made of, and what its training minimises."""

    channels: int = 6  # of the pictures it is trained on: a content, and a style behind it
    size: int = 192  # their side, pixels
    classes: int = 0  # there are none
    widths: tuple[int, ...] = (128, 128, 64, 32)  # features of the stages
    content_weight: float = 0.1
    range_weight: float = 10.0  # of pixels' squared distance to [0, 1]
    temporal_weight: float = 10.0  # of the squared difference between a painting moved and the moved content's painting


class Stage(nn.Module):
    """Features of one stride, from those of the coarser one and from what the encoder saw."""

    def __init__(self, coarser: int, seen: int, width: int):
        super().__init__()
        self.lift = nn.Conv2d(coarser, width, 3) if coarser else None
        self.join = nn.Conv2d(seen, width, 3)
        self.refine = nn.ModuleList([nn.Conv2d(width, width, 3), nn.Conv2d(width, width, 3)])

    def forward(self, coarser: Tensor | None, seen: Tensor) -> Tensor:
        x = _convolved(self.join, seen)
        if self.lift is not None and coarser is not None:
            x = x + F.interpolate(_convolved(self.lift, F.relu(coarser)), scale_factor=2)
        first, second = self.refine
        return x + _convolved(second, F.relu(_convolved(first, F.relu(x))))


def _convolved(convolution: nn.Module, x: Tensor) -> Tensor:
    return convolution(pad(x, "replicate"))


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
        seen = [sum(TAPS[name[2:]] for name in names) for names in STAGES]
        coarser = (0, *config.widths[:-1])
        self.stages = nn.ModuleList(map(Stage, coarser, seen, config.widths))
        self.last = nn.Conv2d(config.widths[-1], 12, 3)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)  # the first guess: the blur
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

    def forward(self, features: dict[str, Tensor], detail: float) -> Tensor:
        """A picture [N, 3, H, W] from the `features` of `encode` moved onto a style's; not yet clipped to [0, 1].

        Args:
            detail: how much it is told of the finest features, 0 to 1. What it is not told it has to paint.
        """
        *coarse, finest = _stacked(features)
        x = None
        for number, (stage, seen) in enumerate(zip(self.stages, [*coarse, detail * finest], strict=True)):
            seen = seen / getattr(self, f"scale_{number}")[:, None, None]
            x = stage(x, seen.contiguous(memory_format=torch.channels_last))
        assert x is not None
        blur = F.interpolate(F.avg_pool2d(features["pixels"], BLUR), scale_factor=BLUR, mode="bilinear")
        return blur + F.pixel_shuffle(_convolved(self.last, F.relu(x)), 2).float()

    @torch.no_grad()
    def encode(self, picture: Tensor) -> dict[str, Tensor]:
        """The float32 features of `picture` [N, 3, H, W], sides multiples of 16: "pixels", "1/block2_conv1", ..."""
        found, seen = {"pixels": picture}, picture
        for level in LEVELS:
            seen = F.interpolate(seen, scale_factor=0.5, mode="bilinear", antialias=True)
            found |= {f"{level}/{layer}": f.float() for layer, f in self.encoder(seen, LAYERS).items()}
        return found

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"model": list(self.parameters())}

    def updates(self, batch: Batch) -> Iterator[Update]:
        """What `fine` minimises, of each content painted in the style beside it."""
        contents, styles = batch.images.split(3, 1)
        device = contents.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        extractor = Extractor(self.encoder, dict.fromkeys(LAYERS, 1.0), ("block3_conv4",), dtype=dtype)
        wanted = [extractor.statistics(style) for style in styles.split(1)]
        moments = [{"pixels": measure(s)} | flat(levels) for s, levels in zip(styles.split(1), wanted, strict=True)]
        moved = moved_onto(self.encode(contents), moments)
        if not self.get_buffer("scale_0").any():
            for number, seen in enumerate(_stacked(moved)):
                self.get_buffer(f"scale_{number}").copy_(seen.square().mean((0, 2, 3)).sqrt())
        detail = max(0.0, 2 * torch.rand(()).item() - 1)  # none in every other batch
        painted = self(moved, detail)
        flicker = self._flicker(contents[:1], moments[:1], painted[:1], detail)  # of one in a batch, to save time

        weight = self.config.content_weight
        with torch.enable_grad(), torch.autocast(device, enabled=False):
            found = [
                Objective(
                    extractor, [Region(style)], extractor.contents(content), wasserstein, content_weight=weight
                ).gradient(picture)
                for content, style, picture in zip(contents.split(1), wanted, painted.detach().split(1), strict=True)
            ]
        means = {name: sum(terms[name] for terms, _ in found) / len(found) for name in ("style", "content")}
        outside = (painted - painted.clamp(0, 1)).square().mean()
        directed = (painted * torch.cat([gradient for _, gradient in found])).sum() / len(found)
        # The objectives have given their gradients already; `directed` brings them here and adds nothing to the value.
        loss = sum(means.values()) + directed - directed.detach()
        loss = loss + self.config.range_weight * outside + self.config.temporal_weight * flicker
        yield Update("model", loss, {**means, "outside": outside, "flicker": flicker})

    def _flicker(self, content: Tensor, style: Sequence[LayerMoments], painted: Tensor, detail: float) -> Tensor:
        """Mean squared difference of `painted`, moved along a random flow, and of the moved content painted anew."""
        coarse = DRIFT * torch.randn(1, 2, 4, 4, device=content.device)
        flow = F.interpolate(coarse, content.shape[2:], mode="bicubic", align_corners=True)
        moved = warp(content, flow)
        seen = self.encode((moved + GRAIN * torch.randn_like(moved)).clamp(0, 1))
        again = self(moved_onto(seen, style), detail)
        return ((again - warp(painted, flow)).square() * inside(flow)).mean()

    @torch.no_grad()
    def sampling(self, n: int, **_: Any) -> Iterator[Tensor]:
        """The first `n` pairs in `shown`, painted, if there are any: what the trainer's reports show."""
        if self.shown is None:
            return
        contents, styles = self.shown[:n].to(self.device).split(3, 1)
        moments = [moments_of(self.encode(style)) for style in styles.split(1)]
        yield self(moved_onto(self.encode(contents), moments), DETAIL).clamp(0, 1)


def moments_of(features: dict[str, Tensor], mask: Tensor | None = None) -> LayerMoments:
    """Statistics of the features [1, C, h, w] of `encode`, weighted by `mask` [1, 1, H, W] when given."""
    with torch.autocast(features["pixels"].device.type, enabled=False):  # in bfloat16 they would be too coarse
        return {name: measure(f, mask) for name, f in features.items()}


def moved_onto(features: dict[str, Tensor], styles: Sequence[LayerMoments]) -> dict[str, Tensor]:
    """`features` [N, C, h, w] of N pictures, each moved from its own statistics onto those of one of N `styles`."""
    parts = []
    for i, wanted in enumerate(styles):
        own = {name: f[i : i + 1] for name, f in features.items()}
        found = moments_of(own)
        parts.append({name: monge(found[name], wanted[name])(f) for name, f in own.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in features}


def flat(levels: Sequence[LayerMoments]) -> LayerMoments:
    """The statistics of a picture at its reductions (`Extractor.statistics`), by the names that `encode` gives them."""
    return {f"{level}/{layer}": levels[level][layer] for level in LEVELS for layer in LAYERS}


def _stacked(features: dict[str, Tensor]) -> list[Tensor]:
    """What each stage sees [N, C, H / stride, W / stride]."""
    return [torch.cat([features[name] for name in names], 1) for names in STAGES]
