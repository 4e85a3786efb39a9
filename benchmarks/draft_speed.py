"""How fast is `draft`, against three feed-forward peers of the same task? One command, one table.

    python benchmarks/draft_speed.py

Peers, with random weights, which cost what trained ones cost, each in its own usual layout and in float32 and, where
the processor has it, bfloat16; the faster of the two counts, as it does for `draft`:
  Johnson et al. (2016): one style per network; 16 convolutions, 9x9 to 32 features, five residual blocks of 128
  AdaIN (Huang and Belongie 2017): VGG-19 to relu4_1, statistics, a mirrored decoder; any style
  MicroAST (Wang et al. 2022): two strided and two residual depthwise-separable stages, modulated, and back; any style
What is known of the style is taken once and not timed, neither for the peers. Run it on a quiet machine.
"""

import argparse
import time
from collections.abc import Callable

from impasto import bundled
from impasto.device import autocast_dtype, configure_cpu
from impasto.media.picture import fit, read, resize
from impasto.style import draft
from impasto.style.anystyle import AnyStyle
from impasto.style.objective import Region

import torch
from skimage import data
from torch import Tensor, nn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 2048], help="of square pictures, pixels")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    dtype = autocast_dtype(torch.device("cpu"))
    print(f"{configure_cpu()} threads; {dtype or 'float32 only'}")
    photo = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float() / 255
    swirl = read(bundled.STYLES["swirl"]).pixels
    model, johnson, adain, micro = draft.load(), Johnson().eval(), AdaIN().eval(), MicroAST().eval()
    for side in args.sides:
        content, style = resize(photo, side, side), fit(swirl, min(side, max(swirl.shape[2:])))
        regions = {precision: region(model, style, precision) for precision in {None, dtype}}

        def drafted(dtype: torch.dtype | None, content: Tensor = content, regions: dict = regions) -> Tensor:
            return draft.Canvas(model, content, dtype).painted([regions[dtype]])

        with torch.no_grad():
            contenders = {
                "draft": drafted,
                "Johnson": cast(johnson, content),
                "AdaIN": cast(adain, content, adain.encoder(style)),
                "MicroAST": cast(micro, content, *micro.signals(style)),
            }
        seconds = {name: best(run, dtype, args.runs) for name, run in contenders.items()}
        text = ", ".join(f"{name} {s:.2f} s ({s / seconds['draft']:.1f})" for name, s in seconds.items())
        print(f"{side}x{side}: {text}", flush=True)


def region(model: AnyStyle, style: Tensor, dtype: torch.dtype | None) -> Region:
    """What is known of the style before a content is there: its points, ready to be compared with."""
    known = draft.region_of([draft.Canvas(model, style, dtype).seen()], dtype=dtype)
    draft.Canvas(model, style[..., :64, :64], dtype).painted([known])
    return known


def cast(network: Callable[..., Tensor], *inputs: Tensor) -> Callable[[torch.dtype | None], Tensor]:
    def run(dtype: torch.dtype | None) -> Tensor:
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            return network(*inputs)

    return run


@torch.no_grad()
def best(run: Callable[[torch.dtype | None], Tensor], dtype: torch.dtype | None, runs: int) -> float:
    """The fastest run in seconds, after a warm-up, in the precision that is faster."""
    found = []
    for precision in {None, dtype}:
        run(precision)
        for _ in range(runs):
            start = time.perf_counter()
            run(precision)
            found.append(time.perf_counter() - start)
    return min(found)


def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, stride, side // 2, padding_mode="reflect")


def normalised(inputs: int, outputs: int, side: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        convolution(inputs, outputs, side, stride), nn.InstanceNorm2d(outputs, affine=True), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            normalised(128, 128, 3), convolution(128, 128, 3), nn.InstanceNorm2d(128, affine=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Johnson(nn.Sequential):
    """Johnson, Alahi and Li 2016, with instance normalisation and upsampling instead of transposed convolutions."""

    def __init__(self) -> None:
        super().__init__(
            normalised(3, 32, 9),
            normalised(32, 64, 3, 2),
            normalised(64, 128, 3, 2),
            *[Residual() for _ in range(5)],
            nn.Upsample(scale_factor=2),
            normalised(128, 64, 3),
            nn.Upsample(scale_factor=2),
            normalised(64, 32, 3),
            convolution(32, 3, 9),
        )


class AdaIN(nn.Module):
    """Huang and Belongie 2017 (arXiv:1703.06868)."""

    def __init__(self) -> None:
        super().__init__()
        encoder: list[nn.Module] = []
        for pair in ((3, 64), (64, 64), None, (64, 128), (128, 128), None, (128, 256), (256, 256),
                                (256, 256), (256, 256), None, (256, 512)):  # fmt: skip
            encoder += [convolution(*pair, 3), nn.ReLU(inplace=True)] if pair else [nn.MaxPool2d(2)]
        decoder: list[nn.Module] = []
        for pair in ((512, 256), None, (256, 256), (256, 256), (256, 256), (256, 128), None, (128, 128), (128, 64),
                     None, (64, 64), (64, 3)):  # fmt: skip
            decoder += [convolution(*pair, 3), nn.ReLU(inplace=True)] if pair else [nn.Upsample(scale_factor=2)]
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder[:-1])

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        features = self.encoder(content)
        (deviation, mean), (wanted_deviation, wanted) = (
            torch.std_mean(f, (2, 3), keepdim=True) for f in (features, style)
        )
        return self.decoder((features - mean) / (deviation + 1e-5) * wanted_deviation + wanted)


class MicroAST(nn.Module):
    """Wang et al. 2022 (arXiv:2211.15313), after its text: 16, 32, 64 features, depthwise-separable but at the ends."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleList([normalised(3, 16, 9), separable(16, 32, 2), separable(32, 64, 2)])
        self.deep = nn.ModuleList([separable(64, 64), separable(64, 64)])
        self.decoder = nn.ModuleList([separable(64, 64), separable(64, 64)])
        self.up = nn.ModuleList([separable(64, 32), separable(32, 16)])
        self.last = convolution(16, 3, 9)

    def signals(self, style: Tensor) -> tuple[Tensor, ...]:
        """Deviation and mean of the deep features of a style."""
        return torch.std_mean(self._encoded(style), (2, 3), keepdim=True)

    def forward(self, content: Tensor, wanted_deviation: Tensor, wanted: Tensor) -> Tensor:
        x = self._encoded(content)
        for stage in self.decoder:
            deviation, mean = torch.std_mean(x, (2, 3), keepdim=True)
            x = x + stage((x - mean) / (deviation + 1e-5) * wanted_deviation + wanted)
        for stage in self.up:
            x = stage(nn.functional.interpolate(x, scale_factor=2))
        return self.last(x)

    def _encoded(self, x: Tensor) -> Tensor:
        for stage in self.encoder:
            x = stage(x)
        for stage in self.deep:
            x = x + stage(x)
        return x


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, padding_mode="reflect", groups=inputs)
    return nn.Sequential(depthwise, nn.Conv2d(inputs, outputs, 1), nn.ReLU(inplace=True))


if __name__ == "__main__":
    main()
