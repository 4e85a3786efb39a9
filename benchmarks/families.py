"""What the trainer costs: a training step of each family, against the plain PyTorch loop a careful person writes.

    python benchmarks/families.py

Same network, same batch, same precision, same optimiser, clipping and averaged weights; only the machinery differs.
Blocks of steps of the two alternate, and the ratio is that of the medians. Run it on a quiet machine.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from itertools import chain

from impasto.data import glyphs
from impasto.data.dataset import Batch
from impasto.device import autocast_dtype, configure_cpu
from impasto.models import FAMILIES, configure, family
from impasto.training.contract import Model
from impasto.training.learner import Learner, seed_step
from impasto.training.optimisers import build
from impasto.training.settings import Training

import torch

DEVICE = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each block, about")
    args = parser.parse_args()
    print(f"{configure_cpu()} threads, {autocast_dtype(DEVICE)}")
    data = glyphs.load("train")
    for name in FAMILIES:
        config, settings = configure(family(name), data)
        batch = data.batch(torch.arange(settings.batch))
        models = []
        for _ in range(2):
            torch.manual_seed(0)
            models.append(family(name)(config))
        ours, plain = trainer_step(models[0], settings, batch), plain_step(models[1], settings, batch)
        first = seconds_of(plain, 2)
        steps = max(1, round(args.seconds / first))
        times: dict[str, list[float]] = {"ours": [], "plain": []}
        for _ in range(args.blocks):
            times["ours"].append(seconds_of(ours, steps))
            times["plain"].append(seconds_of(plain, steps))
        mine, theirs = (1000 * statistics.median(t) for t in times.values())
        size = f"{sum(p.numel() for p in models[0].parameters()):,} parameters, batch {settings.batch}"
        print(f"{name:10} {mine:8.2f} ms, plain loop {theirs:8.2f} ms, ratio {mine / theirs:.3f}   ({size})")


def seconds_of(step: Callable[[], None], steps: int) -> float:
    """Seconds of one step, over `steps`."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


def trainer_step(model: Model, settings: Training, batch: Batch) -> Callable[[], None]:
    learner = Learner(model, settings, DEVICE)

    def step() -> None:
        seed_step(settings.seed, learner.step, 0, DEVICE)
        learner.learn(batch, settings.rate)

    return step


def plain_step(model: Model, settings: Training, batch: Batch) -> Callable[[], None]:
    """The loop of a tutorial, written with care: fused optimisers, foreach averages, bf16."""
    model.train()
    average = copy.deepcopy(model).requires_grad_(False)
    groups = model.groups()
    optimisers = {group: build(settings, parameters) for group, parameters in groups.items()}
    for optimiser in chain(*optimisers.values()):
        for options in optimiser.param_groups:
            options["lr"] = settings.rate
    dtype = autocast_dtype(DEVICE)
    weights, averages = list(model.parameters()), list(average.parameters())

    def step() -> None:
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            for update in model.updates(batch):
                for optimiser in optimisers[update.group]:
                    optimiser.zero_grad()
                update.loss.backward()
                if settings.clip:
                    torch.nn.utils.clip_grad_norm_(groups[update.group], settings.clip)
                for optimiser in optimisers[update.group]:
                    optimiser.step()
        if settings.ema:
            torch._foreach_lerp_(averages, weights, 1 - settings.ema)

    return step


if __name__ == "__main__":
    main()
