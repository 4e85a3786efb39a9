"""How fast is `draft`, against two feed-forward peers of the same task? One command, one table.

    python benchmarks/draft_speed.py

Peers, with random weights, which cost what trained ones cost, each in its own usual layout and in float32 and, where
the processor has it, bfloat16; the faster of the two counts, as it does for `draft`:
  Johnson et al. (2016): one style per network; 16 convolutions, 9x9 to 32 features, five residual blocks of 128
  AdaIN (Huang and Belongie 2017): VGG-19 to relu4_1, statistics, a mirrored decoder; any style
The style's own statistics are taken once and not timed, neither for AdaIN. Run it on a quiet machine.
"""

import argparse
import time
from collections.abc import Callable

from impasto import bundled
from impasto.device import autocast_dtype, configure_threads
from impasto.media.picture import fit, read, resize
from impasto.style import draft

import torch
from skimage import data
from torch import Tensor, nn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 2048], help="of square pictures, pixels")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    dtype = autocast_dtype(torch.device("cpu"))
    print(f"{configure_threads()} threads; {dtype or 'float32 only'}")
    photo = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float() / 255
    swirl = fit(read(bundled.ASSETS / "styles" / "swirl.jpg").pixels, 512)
    model, johnson, adain = draft.load(), Johnson().eval(), AdaIN().eval()
    style = draft.Canvas(model, swirl).moments()
    peer_style = adain.encoder(swirl)
    for side in args.sides:
        content = resize(photo, side, side)

        def drafted(dtype: torch.dtype | None, content: Tensor = content) -> Tensor:
            canvas = draft.Canvas(model, content, dtype)
            return canvas.painted([(draft.maps(canvas.moments(), style), None)])

        contenders = {"draft": drafted, "Johnson": cast(johnson, content), "AdaIN": cast(adain, content, peer_style)}
        seconds = {name: best(run, dtype, args.runs) for name, run in contenders.items()}
        text = ", ".join(f"{name} {s:.2f} s ({s / seconds['draft']:.1f})" for name, s in seconds.items())
        print(f"{side}x{side}: {text}", flush=True)


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


if __name__ == "__main__":
    main()
