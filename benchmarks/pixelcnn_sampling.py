"""How fast does PixelCNN draw with cached features, against computing the whole network for each pixel?

    python benchmarks/pixelcnn_sampling.py

Both ways draw the same pictures from the same random numbers. The naive way takes many minutes, so a few of its steps
are timed and multiplied, once in float64, as the sampler does it, and once in float32, its fastest; `--full` runs it to
the end. Weights are random: they do not change the work. Run it on a quiet machine.
"""

import argparse
import copy
import time
from collections.abc import Callable

from impasto.configs import changed
from impasto.device import configure_cpu
from impasto.models.pixelcnn import Cache, PixelCNN, PixelCNNConfig

import torch
from torch.utils.flop_counter import FlopCounterMode

NAIVE_STEPS = 3  # timed, of one for each pixel and channel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=64, help="pictures drawn together")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the model: channels=3")
    parser.add_argument("--full", action="store_true", help="draw naively to the end, and compare the pictures")
    args = parser.parse_args()
    threads = configure_cpu()
    torch.manual_seed(0)
    config = changed(PixelCNNConfig(), dict(text.split("=", 1) for text in args.set))
    model = PixelCNN(config)
    torch.nn.init.normal_(model.logits.weight, std=0.3)  # zeros before training: all pixels would be alike
    steps = config.size**2 * config.channels
    pictures = torch.zeros(args.n, config.channels, config.size, config.size)
    doubled = copy.deepcopy(model).double()

    cached = seconds(lambda: draw(model, args.n, cached=True))
    naive = steps * min(seconds(lambda: once(doubled, pictures.double())) for _ in range(NAIVE_STEPS))
    naive32 = steps * min(seconds(lambda: once(model, pictures)) for _ in range(NAIVE_STEPS))
    with FlopCounterMode(display=False) as row, torch.no_grad():
        cache = Cache(model, 1, None)
        for step in range(config.size * config.channels):
            cache.pixel(pictures[:1], 0, step // config.channels)
    with FlopCounterMode(display=False) as forward:
        once(model, pictures[:1])
    products = config.size * row.get_total_flops() / 2, steps * forward.get_total_flops() / 2

    print(f"{args.n} pictures of {config.channels}x{config.size}x{config.size}, {threads} threads")
    print(f"{'':24}{'seconds':>10}{'':>10}{'multiply-adds of one picture':>32}")
    print(f"{'cached':24}{cached:10.2f}{'':>10}{products[0]:32.3g}")
    print(f"{'naive':24}{naive:10.1f}{naive / cached:9.0f}x{products[1]:32.3g}{products[1] / products[0]:9.0f}x")
    print(f"{'naive, in float32':24}{naive32:10.1f}{naive32 / cached:9.0f}x")
    if args.full:
        measured = seconds(lambda: draw(model, args.n, cached=False))
        same = torch.equal(draw(model, args.n, cached=True), draw(model, args.n, cached=False))
        print(f"{'naive, to the end':24}{measured:10.1f}{measured / cached:9.0f}x   the same pictures: {same}")


def draw(model: PixelCNN, n: int, cached: bool) -> torch.Tensor:
    return model.sample(n, generator=torch.Generator().manual_seed(0), cached=cached)


@torch.no_grad()
def once(model: PixelCNN, pictures: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model(pictures)
    return logits


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
