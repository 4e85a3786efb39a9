"""The quality ladder of style transfer, and what a user can set beside it. Every default and range stands here, once.

A setting that the chosen quality does not use is refused by name. Four hold for every quality, and change nothing where
there is nothing for them to change: `seed`, `memory`, `tile` and `device`.
"""

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Annotated, Any

from impasto.configs import OneOf, Within, check
from impasto.errors import SettingsError

INITS = ("content", "noise", "style", "draft")
COLOURS = ("style", "luminance", "histogram", "covariance")
DEFAULT_MEMORY = 3.5  # GB, taken unless asked for more: larger tiles are hardly faster
LAYERS = {  # that style and content can be measured in, by network
    "compact": ("block1_conv1", "block2_conv1", "block3_conv1", "block3_conv4", "block4_conv1", "block4_conv3"),
    "vgg16": tuple(f"block{b}_conv{i}" for b, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)),
    "vgg19": tuple(f"block{b}_conv{i}" for b, n in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, n + 1)),
}
BLOCKS_1_TO_3 = ("block1_conv1", "block2_conv1", "block3_conv1")
BLOCKS_1_TO_5 = (*BLOCKS_1_TO_3, "block4_conv1", "block5_conv1")

Layer = Annotated[str, OneOf(LAYERS["vgg19"])]
Network = Annotated[str, OneOf(tuple(LAYERS))]
Init = Annotated[str, OneOf(INITS)]
StyleLoss = Annotated[str, OneOf(("gram", "moments", "wasserstein"))]
Optimiser = Annotated[str, OneOf(("adam", "lbfgs"))]
Precision = Annotated[str, OneOf(("auto", "float32"))]
Weight = Annotated[float, Within(0, 1e9)]
Strength = Annotated[float, Within(0, 1000)]
Steps = Annotated[int, Within(1, 1_000_000)]
Seed = Annotated[int, Within(0, 2**63 - 1)]
Pixels = Annotated[int, Within(32, 100_000)]
Seconds = Annotated[float, Within(0, 1e7)]
Rate = Annotated[float, Within(0.001, 1000)]  # frames per second
MaxPixels = Annotated[int, Within(1, 10**12)]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A rung of the ladder: which network looks, at what, and how long the pixels are optimised."""

    network: str  # one of LAYERS, or "anystyle", which only draft has
    style_layers: tuple[Layer, ...] = ()
    content_layers: tuple[Layer, ...] = ()
    levels: Annotated[int, Within(1, 16)] = 3  # reductions of the picture at which style is measured
    padding: str = "replicate"
    style_loss: str = "wasserstein"  # or "classic", which only gatys has
    style_weight: Weight = 1.0
    content_weight: Weight = 0.0
    variation_weight: Weight = 0.0
    variation_power: Annotated[int, Within(1, 2)] = 2
    init: Init = "style"
    optimiser: Optimiser = "adam"
    adam: dict[str, Any] = field(default_factory=dict)  # arguments of optimise.adam
    coarse_to_fine: bool = True  # double the size from about 100 pixels on; else full size only
    steps: tuple[
        Annotated[int, Within(1, 10**8)], ...
    ] = ()  # at full size, at half, ...; the last holds for all smaller sizes; none: the init
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a user can set of a picture whatever its quality."""

    size: Annotated[int, Within(16, 100_000)] | None = None  # long side in pixels; None: the content's, at most 1024
    strength: Strength = 1.0  # of the style; 0 gives the content back, 2 presses twice as hard
    style_scale: Annotated[float, Within(0.05, 20)] = 1.0  # brush size: long side of the style over the result's
    style_weights: tuple[Weight, ...] | None = None  # shares of several styles, of any sum; None: equal
    colour: Annotated[str, OneOf(COLOURS)] = "style"  # the style's, or in one of three ways the content's
    seed: Seed = 0
    pooling: Annotated[str, OneOf(("max", "average"))] = "max"  # of a VGG
    memory: Annotated[float, Within(0.1, 1e6)] | None = None  # GB; None: DEFAULT_MEMORY, or 70 % of what is free
    tile: Annotated[int, Within(256, 1_000_000)] | None = None  # side in pixels; None: as memory allows
    device: str = "auto"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Method(Quality, RunSettings):
    """All that the engine works by: a quality, and what the user set (`Settings.resolved`)."""


QUALITIES = {
    "draft": Quality(network="anystyle", init="draft"),
    "fine": Quality(
        network="compact",
        style_layers=BLOCKS_1_TO_3,
        content_layers=("block3_conv4",),
        levels=4,
        content_weight=0.08,
        init="draft",
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
        init="content",
        adam={"rate": 5 / 255, "decay": 0.0, "betas": (0.99, 0.999), "epsilon": 0.1 * 255, "average": 0.0},
        coarse_to_fine=False,
        steps=(1000,),
        precision="float32",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """What a user can set of a picture. None stands for "as the quality has it".

    Raises:
        SettingsError: a value out of its range; the message names it.
    """

    quality: Annotated[str, OneOf(tuple(QUALITIES))] = "fine"
    init: Init | None = None  # "style" is the content in the style's colours, "draft" what draft gives
    network: Network | None = None
    style_layers: tuple[Layer, ...] | None = None
    content_layers: tuple[Layer, ...] | None = None
    style_loss: StyleLoss | None = None
    content_weight: Weight | None = None
    variation_weight: Weight | None = None
    optimiser: Optimiser | None = None
    steps: Steps | None = None  # at full size; those of smaller ones, before it, keep their proportion to it
    precision: Precision | None = None  # "auto": bfloat16 where the processor computes in it

    def resolved(self) -> "Method":
        """The quality with all that the user set: what the engine works by.

        Raises:
            SettingsError: settings that do not go together.
        """
        quality = QUALITIES[self.quality]
        shared = {f.name for f in dataclasses.fields(Quality)} & {f.name for f in dataclasses.fields(self)}
        own = {name: getattr(self, name) for name in shared if getattr(self, name) is not None}
        if not quality.steps:
            unused = {*shared, "pooling"} - {"precision"}
            self.check_unused(f"quality {self.quality} is one pass of one network", unused)
        if self.steps is not None:
            own["steps"] = in_proportion(quality.steps, self.steps)
        if quality.style_loss == "classic" and (self.style_loss or self.network == "compact"):
            raise SettingsError("quality gatys is the classic recipe: its style_loss is fixed, its network a VGG")
        quality = dataclasses.replace(quality, **own)
        of_the_run = {f.name: getattr(self, f.name) for f in dataclasses.fields(RunSettings)}
        method = Method(**{f.name: getattr(quality, f.name) for f in dataclasses.fields(Quality)}, **of_the_run)
        if not quality.steps:
            return method
        if quality.network == "compact":
            self.check_unused("pooling is a VGG's, not of the network compact", {"pooling"})
        if not quality.style_layers:
            raise SettingsError("give at least one of style_layers")
        for layer in (*quality.style_layers, *quality.content_layers):
            if layer not in LAYERS[quality.network]:
                has = ", ".join(LAYERS[quality.network])
                raise SettingsError(f"the network {quality.network} has no layer {layer!r}; it has {has}")
        return method

    def check_unused(self, why: str, names: Collection[str]) -> None:
        """Refuse what has no meaning here, if it was set.

        Raises:
            SettingsError: one of `names` is not as it is by default.
        """
        defaults = {f.name: f.default for f in dataclasses.fields(self)}
        if useless := sorted(name for name in names if getattr(self, name) != defaults[name]):
            raise SettingsError(f"{why}: leave out {', '.join(useless)}")


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """What a user can set of a clip."""

    start: Seconds | None = None  # what of the clip is wanted; None: from the first frame
    end: Annotated[float, Within(0.001, 1e7)] | None = None  # None: to the last frame
    fps: Rate | None = None  # of the result, frames per second; None: every frame at its own time
    rate: Rate = 24  # of a folder of frames, which does not say, frames per second
    crf: Annotated[int, Within(0, 63)] | None = None  # how hard to compress; None: as the format has it
    bits: Annotated[int, Within(8, 16)] = 8  # per channel of numbered frames
    steadiness: Annotated[float, Within(0, 1, open=True)] = 0.8  # share of the frame before, where it can be trusted
    fade: Seconds = 1.0  # from one style to the next

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class TextureSettings:
    """What a user can set of a texture beside `Settings`."""

    width: Pixels = 512
    height: Pixels = 512
    scale: Annotated[float, Within(0.05, 1)] = 1.0  # size of the pattern: 1 is as in the sample
    seamless: Annotated[str, OneOf(("no", "x", "y", "both"))] = "no"  # where it goes on at the other side

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class SoundSettings:
    """What a user can set of a sound."""

    method: Annotated[str, OneOf(("impasto", "ulyanov"))] = "impasto"  # or the one of 2016
    strength: Strength = 1.0  # of the style; 0 gives the content back
    steps: Steps = 300
    seed: Seed = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        check(self)


def in_proportion(steps: tuple[int, ...], first: int) -> tuple[int, ...]:
    """`steps` of all sizes, more or fewer, so that there are `first` at full size."""
    return tuple(max(1, round(first * n / steps[0])) for n in steps)


def shares_of(styles: int, style_weights: tuple[float, ...] | None) -> tuple[float, ...]:
    """The share of each of so many styles: equal ones, or as the weights say.

    Raises:
        SettingsError: no styles, or weights that are not theirs.
    """
    if not styles:
        raise SettingsError("give at least one style picture")
    shares = tuple(style_weights or (1.0,) * styles)
    if len(shares) != styles or not all(0 <= s < math.inf for s in shares) or sum(shares) == 0:
        raise SettingsError(f"give {styles} style weights from 0 up, one per style, not all 0")
    return shares
