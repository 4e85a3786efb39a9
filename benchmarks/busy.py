"""How long should PyTorch's threads spin before they sleep? On a quiet machine, and beside others that compute.

    python benchmarks/busy.py

At the end of each operation the threads wait for each other. libgomp, which PyTorch's wheels for Linux carry, spins
GOMP_SPINCOUNT times (300000 where nothing is said) and then sleeps. Where others want the core too, spinning takes it
from the very thread that is waited for; sleeping and waking take time. The table says how long a small `fine`, a draft
and five training steps (the VAE's) take beside 0, 2 and 3 busy loops, as multiples of what they take beside none by
libgomp's default, in the same run. Each is the least of some rounds, in which all counts take turns.
Run it on a quiet machine.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path

DEFAULT = 300_000  # libgomp's own
LOADS = (0, 2, 3)  # busy loops
LOOP = "import os; parent = os.getppid()\nwhile os.getppid() == parent: sum(range(10_000))"  # ends with its parent
WORKS = ("fine", "draft", "training")
SWIRL = Path(__file__).parent.parent / "src/impasto/assets/styles/swirl.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spins", type=int, nargs="+", default=[0, 1000, 3000, 10_000, 30_000, DEFAULT])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    counts = sorted({*args.spins, DEFAULT})
    context = multiprocessing.get_context("spawn")
    lines = {}
    for count in counts:
        os.environ["GOMP_SPINCOUNT"] = str(count)  # before the process loads torch
        lines[count], its = context.Pipe()
        context.Process(target=work, args=(its,), daemon=True).start()
    for line in lines.values():
        line.recv()  # it is warm
    quiet: dict[str, float] = {}
    print(f"{'beside':6} {'':8} " + " ".join(f"{count:>7}" for count in counts) + "  spins, then sleeps", flush=True)
    for load in LOADS:
        best = {(name, count): float("inf") for name in WORKS for count in counts}
        with ExitStack() as loops:
            for _ in range(load):
                loop = loops.enter_context(subprocess.Popen([sys.executable, "-c", LOOP]))
                loops.callback(loop.kill)
            for _ in range(args.rounds):
                for name, count in best:
                    lines[count].send(name)
                    best[name, count] = min(best[name, count], lines[count].recv())
        for name in WORKS:
            whole = quiet.setdefault(name, best[name, DEFAULT])
            ratios = " ".join(f"{best[name, count] / whole:7.2f}" for count in counts)
            print(f"{load:6} {name:8} {ratios}  of {whole:.2f} s", flush=True)


def work(line: Connection) -> None:
    """Do what is asked for, over and over, and answer with the seconds it took."""
    from impasto.device import configure_cpu

    configure_cpu()
    tasks = {"fine": stylizing("fine", 96, 4), "draft": stylizing("draft", 256), "training": training(5)}
    for task in tasks.values():
        task()
    line.send("warm")
    with suppress(EOFError):  # nobody asks any more
        while True:
            task = tasks[line.recv()]
            begun = time.perf_counter()
            task()
            line.send(time.perf_counter() - begun)


def stylizing(quality: str, size: int, steps: int | None = None) -> Callable[[], object]:
    import impasto

    import torch
    from skimage import data

    photo = impasto.Picture(torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None] / 255)
    return lambda: impasto.stylize(photo, SWIRL, quality=quality, size=size, steps=steps)


def training(steps: int) -> Callable[[], object]:
    from impasto.data import glyphs
    from impasto.models import configure, family

    import torch
    from families import trainer_step

    digits, vae = glyphs.load("validation"), family("vae")
    config, settings = configure(vae, digits)
    step = trainer_step(vae(config), settings, digits.batch(torch.arange(settings.batch)))
    return lambda: [step() for _ in range(steps)]


if __name__ == "__main__":
    main()
