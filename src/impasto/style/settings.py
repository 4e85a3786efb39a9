"""The quality ladder of style transfer, and what a user can set beside it. Every default stands here, once."""

import dataclasses
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from impasto.errors import SettingsError

NETWORKS = ("compact", "vgg19")
COLOURS = ("style", "luminance", "histogram", "covariance")
DEFAULT_MEMORY = 3.5  # GB, taken unless asked for more: larger tiles are hardly faster
STARTS = ("content", "noise", "style", "draft")
BLOCKS_1_TO_3 = ("block1_conv1", "block2_conv1", "block3_conv1")
BLOCKS_1_TO_5 = (*BLOCKS_1_TO_3, "block4_conv1", "block5_conv1")


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A rung of the ladder: which network looks, at what, and how long the pixels are optimised."""

    network: str
    style_layers: tuple[str, ...] = ()
    content_layers: tuple[str, ...] = ()
    levels: int = 3  # reductions of the picture at which style is measured
    padding: str = "replicate"
    style_loss: str = "wasserstein"
    style_weight: float = 1.0
    content_weight: float = 0.0
    variation_weight: float = 0.0
    variation_power: int = 2
    start: str = "style"
    optimiser: str = "adam"
    adam: dict[str, Any] = field(default_factory=dict)  # arguments of optimise.adam
    coarse_to_fine: bool = True  # double the size from about 100 pixels on; else full size only
    steps: tuple[int, ...] = ()  # at full size, at half, ...; the last holds for all smaller sizes; none: the start
    precision: str = "auto"


QUALITIES = {
    "draft": Quality(network="anystyle", start="draft"),
    "fine": Quality(
        network="compact",
        style_layers=BLOCKS_1_TO_3,
        content_layers=("block3_conv4",),
        levels=4,
        content_weight=0.08,
        start="draft",
        steps=(30, 40),
    ),
    "gallery": Quality(
        network="vgg19",
        style_layers=BLOCKS_1_TO_5,
        content_layers=("block4_conv2",),
        style_loss="moments",  # eigenvalues of 512 channels would take longer than the network
        content_weight=0.2,
        steps=(100, 150, 200),
    ),
    # Gatys et al. (2015) as its tutorials give it: weights 1e3, 1e-2 and 30, Adam with rate 5 and epsilon 0.1 on the
    # 0-255 scale (here divided by 255 and, for it stands beside gradients, multiplied by it), losses not normalised.
    "gatys": Quality(
        network="vgg19",
        style_layers=BLOCKS_1_TO_5,
        content_layers=("block5_conv2",),
        levels=1,
        padding="zeros",
        style_loss="classic",
        style_weight=1e-2,
        content_weight=1e3,
        variation_weight=30.0,
        variation_power=1,
        start="content",
        adam={"rate": 5 / 255, "decay": 0.0, "betas": (0.99, 0.999), "epsilon": 0.1 * 255, "average": 0.0},
        coarse_to_fine=False,
        steps=(1000,),
        precision="float32",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user can set. None stands for "as the quality has it"."""

    quality: str = "fine"
    size: int | None = None  # long side of the result in pixels; None: the content's own, at most 1024
    strength: float = 1.0  # of the style; 0 gives the content back, 2 presses twice as hard
    style_scale: float = 1.0  # brush size: long side of the style picture over that of the result
    style_weights: tuple[float, ...] | None = None  # shares of several styles, of any sum; None: equal
    colour: str = "style"  # one of COLOURS: the style's, or in one of three ways the content's
    start: str | None = None  # one of STARTS; "style" is the content in the style's colours, "draft" what draft gives
    seed: int = 0
    network: str | None = None  # "compact" or "vgg19"
    style_layers: tuple[str, ...] | None = None
    content_layers: tuple[str, ...] | None = None
    style_loss: str | None = None  # "gram", "moments" or "wasserstein"
    content_weight: float | None = None
    variation_weight: float | None = None
    optimiser: str | None = None  # "adam" or "lbfgs"
    steps: int | None = None  # at full size; those of smaller ones, before it, keep their proportion to it
    pooling: str = "max"  # of VGG-19; or "average"
    precision: str | None = None  # "auto" (bfloat16 where the processor computes in it) or "float32"
    memory: float | None = None  # GB that may be used; None: DEFAULT_MEMORY, or 70 % of what is free where that is less
    tile: int | None = None  # side in pixels of the tiles; None: as memory allows
    device: str = "auto"

    def chosen(self) -> Quality:
        """The quality, with what the user set otherwise.

        Raises:
            SettingsError: a value that makes no sense; the message names those that do.
        """
        _one_of("quality", self.quality, QUALITIES)
        quality = QUALITIES[self.quality]
        shared = {f.name for f in dataclasses.fields(Quality)} & {f.name for f in dataclasses.fields(self)}
        own = {name: getattr(self, name) for name in shared if getattr(self, name) is not None}
        if not quality.steps and (useless := sorted(own.keys() - {"precision"})):
            raise SettingsError(f"quality {self.quality} is one pass of one network: leave out {', '.join(useless)}")
        if self.steps is not None:
            _within("steps", self.steps, 1, 1_000_000)
            own["steps"] = in_proportion(quality.steps, self.steps)
        if quality.style_loss == "classic" and (self.style_loss or self.network):
            raise SettingsError("quality gatys is the classic recipe: style_loss and network are not its to choose")
        quality = dataclasses.replace(quality, **own)
        if quality.steps and not quality.style_layers:
            raise SettingsError("give at least one of style_layers")
        for layer in (*quality.style_layers, *quality.content_layers):
            if not re.fullmatch(r"block[1-5]_conv[1-4]", layer):
                raise SettingsError(f"layers are called block1_conv1 to block5_conv4, not {layer!r}")
        _one_of("network", quality.network, NETWORKS if quality.steps else ("anystyle",))
        _one_of("colour", self.colour, COLOURS)
        _one_of("start", quality.start, STARTS)
        _one_of("style_loss", quality.style_loss, ("gram", "moments", "wasserstein", "classic"))
        _one_of("optimiser", quality.optimiser, ("adam", "lbfgs"))
        _one_of("precision", quality.precision, ("auto", "float32"))
        _within("strength", self.strength, 0, 1000)
        _within("style_scale", self.style_scale, 0.05, 20)
        _within("content_weight", quality.content_weight, 0, 1e9)
        _within("variation_weight", quality.variation_weight, 0, 1e9)
        _within("size", 16 if self.size is None else self.size, 16, 100_000)
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("memory", 1 if self.memory is None else self.memory, 0.1, 1e6)
        _within("tile", 256 if self.tile is None else self.tile, 256, 1_000_000)
        return quality


def in_proportion(steps: tuple[int, ...], first: int) -> tuple[int, ...]:
    """`steps` of all sizes, more or fewer, so that there are `first` at full size."""
    return tuple(max(1, round(first * n / steps[0])) for n in steps)


def _one_of(name: str, value: str, choices: Collection[str]) -> None:
    if value not in choices:
        raise SettingsError(f"{name} is one of {', '.join(choices)}, not {value!r}")


def _within(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:  # NaN is not
        raise SettingsError(f"{name} goes from {lowest} to {highest}, not {value}")
