"""How fast is `fine`, against that of version 0.2 and 500 iterations of Gatys et al. (2015) on VGG-19? One command.

    python benchmarks/style_speed.py

The peer's iteration (forward to block5_conv2, gradient to the pixels, float32, random weights of the same shape) is
timed a few times at the same size and multiplied by 500. Version 0.2 knew styles by their moments alone. The share of
peak compares the arithmetic of the compact network with the fastest 3x3 convolution measured in the same run. Run it on
a quiet machine.
"""

import argparse
import time
from collections.abc import Callable

from impasto import bundled
from impasto.device import autocast_dtype, configure_cpu
from impasto.media.picture import Picture, fit, read
from impasto.perception.compact import REDUCED, TAPS, WIDTHS
from impasto.perception.vgg import VGG19
from impasto.style import settings
from impasto.style.objective import Extractor, Objective, Region
from impasto.style.settings import QUALITIES, Settings
from impasto.style.stylize import Job, running

import torch
from skimage import data
from torch import Tensor

PEER_ITERATIONS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    args = parser.parse_args()
    threads, cpu = configure_cpu(), torch.device("cpu")
    peak = max(convolution_rate(dtype) for dtype in (torch.float32, autocast_dtype(cpu) or torch.float32))
    print(f"{threads} threads; fastest convolution {peak / 1e9:.0f} GFLOP/s; compute in {autocast_dtype(cpu)}")
    coffee = torch.from_numpy(data.coffee()).permute(2, 0, 1)[None].float() / 255  # 600x400
    style = read(bundled.ASSETS / "styles" / "swirl.jpg").pixels
    for size in args.sizes:
        content = fit(coffee, size)
        seconds, operations = painting(content, style)
        now, settings.QUALITIES["fine"] = settings.QUALITIES["fine"], settings.BY_MOMENTS
        before, _ = painting(content, style)
        settings.QUALITIES["fine"] = now
        iteration = peer_iteration(content, fit(style, size))
        print(
            f"{size} px ({content.shape[3]}x{content.shape[2]}): fine {seconds:.1f} s, of version 0.2 {before:.1f} s; "
            f"VGG-19 {iteration:.2f} s an iteration, {iteration * PEER_ITERATIONS:.0f} s for {PEER_ITERATIONS}: "
            f"{iteration * PEER_ITERATIONS / seconds:.0f} times faster; {operations / seconds / peak:.0%} of peak"
        )


def painting(content: Tensor, style: Tensor) -> tuple[float, float]:
    """Seconds that `fine` takes, and FLOP of its convolutions."""
    start, operations = time.perf_counter(), 0.0
    for progress in running(Job(Picture(content), [Picture(style)]), Settings(size=max(content.shape[2:]))):
        operations += operations_per_step(*progress.size)
    progress.result()
    return time.perf_counter() - start, operations


def seconds_of(work: Callable[[], object], repeats: int = 3) -> float:
    """The fastest of a few runs after a warm-up: what the machine can do when nothing disturbs it."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def convolution_rate(dtype: torch.dtype) -> float:
    """FLOP/s of a 3x3 convolution of 128 channels in memory that the caches hold."""
    x = torch.randn(1, 128, 96, 96, dtype=dtype).to(memory_format=torch.channels_last)
    w = torch.randn(128, 128, 3, 3, dtype=dtype).to(memory_format=torch.channels_last)
    return 2 * 9 * 128 * 128 * 96 * 96 / seconds_of(lambda: torch.nn.functional.conv2d(x, w, padding=1), 20)


def operations_per_step(width: int, height: int) -> float:
    """FLOP of one `fine` step: the compact network's convolutions, forward and to the pixels, at all reductions."""
    per_pixel, channels = 0.0, 3
    deepest = max(map(list(TAPS).index, QUALITIES["fine"].style_layers + QUALITIES["fine"].content_layers))
    for stage, (widths, components) in enumerate(zip(WIDTHS[: deepest + 1], TAPS.values(), strict=False)):
        share = 4.0 ** -sum(stage >= reduced for reduced in REDUCED)
        for wide in widths:
            per_pixel += share * 2 * 9 * channels * wide
            channels = wide
        per_pixel += share * 2 * channels * components
    return 2 * per_pixel * width * height * sum(4.0**-level for level in range(QUALITIES["fine"].levels))


def peer_iteration(content: Tensor, style: Tensor) -> float:
    gatys = QUALITIES["gatys"]
    extractor = Extractor(VGG19(None), dict.fromkeys(gatys.style_layers, 1.0), gatys.content_layers, levels=1)
    objective = Objective(extractor, [Region(extractor.statistics(style))], extractor.contents(content))
    return seconds_of(lambda: objective.gradient(content))


if __name__ == "__main__":
    main()
