"""The quality ladder of style transfer, and what a user can set beside it. Every default and range stands here, once.

A setting that the chosen quality does not use is refused by name. Four hold for every quality, and change nothing where
there is nothing for them to change: `seed`, `memory`, `tile` and `device`.
"""

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Annotated, Any

from impasto.configs import Help, OneOf, Within, check
from impasto.errors import SettingsError

INITS = ("content", "noise", "draft")
COLOURS = ("style", "luminance", "histogram", "covariance")
TEXTURE_STEPS = (24, 40, 60)  # of a texture at full size, at half, at all smaller ones
LONGEST_DEFAULT = 1024  # pixels; what nobody asked for should not take minutes
DEFAULT_SHARE = 0.7  # of the free memory, at most
DEFAULT_MEMORY = 3.5  # GB, taken unless asked for more: larger tiles are hardly faster
LAYERS = {  # that style and content can be measured in, by network
    "compact": ("block1_conv1", "block2_conv1", "block3_conv1", "block3_conv4", "block4_conv1", "block4_conv3"),
    "vgg16": tuple(f"block{b}_conv{i}" for b, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)),
    "vgg19": tuple(f"block{b}_conv{i}" for b, n in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, n + 1)),
}
BLOCKS_1_TO_3 = ("block1_conv1", "block2_conv1", "block3_conv1")
BLOCKS_1_TO_5 = (*BLOCKS_1_TO_3, "block4_conv1", "block5_conv1")
BLOCK_4 = ("block4_conv1", "block4_conv3")

Layer = Annotated[str, OneOf(LAYERS["vgg19"])]
Network = Annotated[str, OneOf(tuple(LAYERS))]
Init = Annotated[str, OneOf(INITS)]
StyleLoss = Annotated[str, OneOf(("gram", "moments", "wasserstein"))]
Optimiser = Annotated[str, OneOf(("adam", "lbfgs"))]
Precision = Annotated[str, OneOf(("auto", "float32"))]
Weight = Annotated[float, Within(0, 1e9)]
Freedom = Annotated[float, Within(0, 1)]
Strength = Annotated[float, Within(0, 1000)]
Steps = Annotated[int, Within(1, 1_000_000)]
Seed = Annotated[int, Within(0, 2**63 - 1)]
Pixels = Annotated[int, Within(32, 100_000)]
Seconds = Annotated[float, Within(0, 1e7)]
End = Annotated[float, Within(0.001, 1e7)]
Crf = Annotated[int, Within(0, 63)]
Rate = Annotated[float, Within(0.001, 1000)]  # frames per second
MaxPixels = Annotated[int, Within(1, 10**12)]
Size = Annotated[int, Within(16, 100_000)]
Tile = Annotated[int, Within(256, 1_000_000)]
Gigabytes = Annotated[float, Within(0.1, 1e6)]
Device = Annotated[str, Help("cpu, cuda, cuda:1, mps, or auto for the fastest")]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A rung of the ladder: which network looks, at what, and how long the pixels are optimised."""

    network: str  # one of LAYERS, or "anystyle", which only draft has
    style_layers: tuple[Layer, ...] = ()
    content_layers: tuple[Layer, ...] = ()
    levels: Annotated[int, Within(1, 16)] = 3  # reductions of the picture at which style is measured
    padding: str = "replicate"
    style_loss: str = "wasserstein"  # or "classic", which only gatys has
    match_layers: tuple[Layer, ...] = ()  # whose features are matched to points of the style; none: moments alone
    match_weight: Weight = 0.0  # of the matching loss, beside 1 for that of the moments
    freedom: Freedom = 0.5  # of the choice of points from the content
    style_weight: Weight = 1.0
    content_weight: Weight = 0.0
    variation_weight: Weight = 0.0
    variation_power: Annotated[int, Within(1, 2)] = 2
    init: Init = "content"
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

    size: Annotated[Size | None, Help("Long side in pixels", f"the content's own, at most {LONGEST_DEFAULT}")] = None
    strength: Annotated[Strength, Help("How hard the style presses; 0 gives the content back")] = 1.0
    style_scale: Annotated[float, Within(0.05, 20), Help("Brush size; 2 is twice as broad")] = (
        1.0  # long side over the result's
    )
    style_weights: Annotated[
        tuple[Weight, ...] | None, Help("Share of a style where several blend, one for each", "equal")
    ] = None
    colour: Annotated[str, OneOf(COLOURS), Help("The style's colours, or in one of three ways the content's")] = "style"
    seed: Annotated[Seed, Help("Of the noise that the optimiser starts with")] = 0
    pooling: Annotated[str, OneOf(("max", "average")), Help("How a VGG halves its features")] = "max"
    memory: Annotated[
        Gigabytes | None,
        Help(
            "GB of memory to use at most",
            f"{DEFAULT_MEMORY}, or {DEFAULT_SHARE:.0%} of what is free where that is less",
        ),
    ] = None
    tile: Annotated[Tile | None, Help("Side of the tiles in pixels", "as memory allows")] = None
    device: Device = "auto"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Method(Quality, RunSettings):
    """All that the engine works by: a quality, and what the user set (`Settings.resolved`)."""


BY_MOMENTS = Quality(  # `fine` where there are no points to match: saved styles of version 0.2
    network="compact",
    style_layers=BLOCKS_1_TO_3,
    content_layers=("block3_conv4",),
    levels=4,
    content_weight=0.08,
    init="draft",
    steps=(30, 40),
)
FINE = Quality(
    network="compact",
    style_layers=BLOCKS_1_TO_3,
    match_layers=(*BLOCKS_1_TO_3, "block3_conv4", *BLOCK_4),
    match_weight=0.5,
    style_weight=2.0,
    content_layers=("block3_conv4",),
    content_weight=0.45,
    levels=2,
    adam={"rate": 0.02, "bands": 5, "betas": (0.7, 0.95), "average": 0.8},
    steps=(20, 30, 40),
)
QUALITIES = {
    "draft": Quality(network="anystyle", init="draft"),
    "fine": FINE,
    "gallery": dataclasses.replace(
        FINE,
        network="vgg19",
        match_layers=(*BLOCKS_1_TO_3, "block3_conv3", *BLOCK_4),
        content_layers=("block3_conv3",),
        content_weight=1.0,
        steps=(60, 80, 100),
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

    quality: Annotated[str, OneOf(tuple(QUALITIES)), Help("How much work")] = "fine"
    init: Annotated[Init | None, Help("Where the optimiser starts")] = None
    network: Annotated[Network | None, Help("Network that gives the features")] = None
    style_layers: Annotated[tuple[Layer, ...] | None, Help("Layers that style is measured in")] = None
    content_layers: Annotated[tuple[Layer, ...] | None, Help("Layers that content is measured in")] = None
    style_loss: Annotated[StyleLoss | None, Help("How styles are compared")] = None
    freedom: Annotated[Freedom | None, Help("From 0, true to the photograph, to 1, free")] = None
    content_weight: Annotated[Weight | None, Help("Weight of the content loss")] = None
    variation_weight: Annotated[Weight | None, Help("Weight of the total variation; more is smoother")] = None
    optimiser: Annotated[Optimiser | None, Help("Optimiser of the pixels")] = None
    steps: Annotated[Steps | None, Help("Steps at full size; those of smaller sizes keep their proportion")] = None
    precision: Annotated[Precision | None, Help("auto computes in bfloat16 where the processor is quick at it")] = None

    def resolved(self, matched: bool = True) -> "Method":
        """The quality with all that the user set: what the engine works by.

        Args:
            matched: whether places are matched to points of the style, where the quality does so.

        Raises:
            SettingsError: settings that do not go together.
        """
        quality = QUALITIES[self.quality]
        if self.quality == "fine" and not matched:
            quality = BY_MOMENTS
        shared = {f.name for f in dataclasses.fields(Quality)} & {f.name for f in dataclasses.fields(self)}
        own = {name: getattr(self, name) for name in shared if getattr(self, name) is not None}
        if not quality.steps:
            unused = {*shared, "pooling"} - {"precision", "freedom"}
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
        if not quality.match_layers:
            self.check_unused("freedom is of matching, and here nothing is matched", {"freedom"})
        if not quality.style_layers:
            raise SettingsError("give at least one of style_layers")
        for layer in (*quality.style_layers, *quality.content_layers, *quality.match_layers):
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

    start: Annotated[Seconds | None, Help("Where to begin, in seconds", "the first frame")] = None
    end: Annotated[End | None, Help("Where to end, in seconds", "the last frame")] = None
    fps: Annotated[Rate | None, Help("Frames per second of the result", "each frame at its own time")] = None
    rate: Annotated[Rate, Help("Frames per second of a folder of frames, which does not say")] = 24
    crf: Annotated[Crf | None, Help("How hard to compress; lower is better", "as the format has it")] = None
    bits: Annotated[int, Within(8, 16), Help("Bits per channel of pictures and numbered frames")] = 8
    steadiness: Annotated[
        float, Within(0, 1, open=True), Help("Share of the frame before in the next; 0 paints frame by frame")
    ] = 0.7  # where the optical flow can be trusted
    fade: Annotated[Seconds, Help("How long one style takes to become the next, in seconds")] = 1.0

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class TextureSettings:
    """What a user can set of a texture beside `Settings`."""

    width: Annotated[Pixels, Help("In pixels")] = 512
    height: Annotated[Pixels, Help("In pixels")] = 512
    scale: Annotated[float, Within(0.05, 1), Help("Size of the pattern; 0.5 is half as large as in the sample")] = 1.0
    seamless: Annotated[
        str, OneOf(("no", "x", "y", "both")), Help("Where it repeats without a seam; x is across, y is down")
    ] = "no"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class GradeSettings:
    """What a user can set of a look."""

    method: Annotated[str, OneOf(("transport", "monge")), Help("All colours, or their mean and spread alone")] = (
        "transport"
    )
    strength: Annotated[float, Within(0, 1), Help("How far the colours go; 0 leaves them as they are")] = 1.0
    skin: Annotated[float, Within(0, 1), Help("How far colours of skin are left as they are")] = 0.0

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class SoundSettings:
    """What a user can set of a sound."""

    method: Annotated[
        str,
        OneOf(("impasto", "ulyanov")),
        Help("Ours, or that of Ulyanov and Lebedev (2016) to compare with"),
    ] = "impasto"
    strength: Annotated[Strength, Help("How hard the style presses; 0 gives the content back")] = 1.0
    steps: Annotated[Steps, Help("Steps of the optimiser")] = 300
    seed: Annotated[Seed, Help("Of the random filters")] = 0
    device: Device = "auto"

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
