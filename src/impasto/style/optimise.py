"""Optimising the pixels of a picture, as generators: the engine yields steps, whoever listens draws the bar."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.device import keep_memory, release_memory
from impasto.media.picture import SHORTEST_SIDE, resize
from impasto.style.objective import Objective
from impasto.style.settings import Method
from impasto.style.tiles import Wrap, resized

REMATCH = 10  # steps until places are matched to the style anew
LARGE = 4_000_000  # pixels; a step takes seconds, and what it frees is much
SMALLEST_SCALE = 96  # pixels on the long side; below it a picture is colours, not forms


@dataclass(frozen=True)
class Step:
    """One step: the weighted loss terms before it, and the picture [1, 3, H, W] after it, in [0, 1]."""

    terms: dict[str, float]
    picture: Tensor


@dataclass
class Momentum:
    """Adam's memory: running means of the gradient and of its square [1, 3, H, W], and how many steps they saw."""

    first: Tensor
    second: Tensor
    steps: int = 0

    @classmethod
    def none(cls, picture: Tensor) -> "Momentum":
        return cls(torch.zeros_like(picture), torch.zeros_like(picture))

    def resized(self, height: int, width: int) -> "Momentum":
        """The same for a picture of another size, so that a new scale starts with its brakes and its swing on."""
        first = F.interpolate(self.first, (height, width), mode="bilinear")
        return Momentum(first, F.interpolate(self.second, (height, width), mode="bilinear"), self.steps)


@dataclass(frozen=True)
class Stage:
    """A step at one of several sizes of a picture, each larger than the one before."""

    scale: int  # from 1
    step: int  # within the scale, from 1
    steps: int
    done: float  # share of all work, in (0, 1]
    now: Step


def scale_sides(whole: Tensor, method: Method) -> list[int]:
    """Long sides of the scales, doubling up to that of the result."""
    longer, shorter = max(whole.shape[2:]), min(whole.shape[2:])
    sides = [longer]
    if method.coarse_to_fine:
        while sides[0] >= 2 * SMALLEST_SCALE and shorter * sides[0] >= 4 * SHORTEST_SIDE * longer:
            sides.insert(0, round(sides[0] / 2))
    return sides


def steps_at(method: Method, scales: int) -> list[int]:
    """Steps at each of so many scales, the smallest first."""
    return [method.steps[min(i, len(method.steps) - 1)] for i in reversed(range(scales))]


def coarse_to_fine(
    sizes: Sequence[tuple[int, int]],
    steps: Sequence[int],
    objective: Callable[[int, int], Objective],
    begin: Callable[[int, int, Tensor | None], Tensor],
    *,
    optimiser: str = "adam",
    free: Tensor | None = None,
    **options: float | tuple[float, float],
) -> Iterator[Stage]:
    """Optimise a picture at each of `sizes` (height, width) in turn, for so many `steps`.

    Args:
        objective: of a size.
        begin: the picture of a size to start from, given the one that the size before ended with, or None at first.
        optimiser: "adam", which takes `options`, or "lbfgs".
        free: [1, 1, H, W] as in `adam`, of any size.
    """
    work = [count * height * width for count, (height, width) in zip(steps, sizes, strict=True)]
    picture, momentum = None, None
    for scale, ((height, width), count) in enumerate(zip(sizes, steps, strict=True)):
        with _memory_for(height * width):
            aim = objective(height, width)
            picture = begin(height, width, picture)
            release_memory()  # what the start took (a draft of 12 megapixels: 0.9 GB), and the size before
            loose = None if free is None else resize(free, height, width)
            if optimiser == "lbfgs":
                run = lbfgs(picture, aim, count, free=loose)
            else:
                if options.get("bands", 1) == 1:  # those of a pyramid begin anew
                    momentum = momentum.resized(height, width) if momentum else Momentum.none(picture)
                run = adam(picture, aim, count, momentum=momentum, free=loose, **options)  # type: ignore[arg-type]
            for number, step in enumerate(run, 1):
                picture = step.picture
                done = (sum(work[:scale]) + work[scale] * number / count) / sum(work)
                yield Stage(scale + 1, number, count, done, step)


@contextmanager
def _memory_for(pixels: int) -> Iterator[None]:
    """Do not keep large pieces of memory while a large picture is painted: that would be gigabytes."""
    keep_memory(large=pixels <= LARGE)
    try:
        yield
    finally:
        keep_memory()


def adam(
    picture: Tensor,
    objective: Objective,
    steps: int,
    *,
    rate: float = 0.06,
    decay: float = 1.0,
    betas: tuple[float, float] = (0.9, 0.95),
    epsilon: float = 1e-9,
    average: float = 0.8,
    bands: int = 1,
    wrap: Wrap = (False, False),
    momentum: Momentum | None = None,
    free: Tensor | None = None,
) -> Iterator[Step]:
    """Adam (Kingma and Ba 2015) on `picture` [1, 3, H, W], clipped to [0, 1] after each step.

    Args:
        rate: step size in units of the pixel range.
        decay: how much of `rate` a cosine takes off over the steps; 0 keeps it constant.
        average: decay of the running mean of iterates that is yielded (Polyak averaging with Adam's own bias
            correction); it removes the jitter of the last steps. 0 yields the iterates.
        bands: of a Laplacian pyramid (Burt and Adelson 1983) of the pixels, which the steps are taken on: what a step
            changes it changes at all sizes alike, and no weave of single pixels grows. 1: the pixels themselves.
        wrap: whether the picture goes on at its other side, down and across; then its bands do, too.
        momentum: Adam's memory from an earlier, smaller scale, without `bands`; updated in place.
        free: [1, 1, H, W] in [0, 1]; where it is 0 pixels stay as they are.
    """
    start = None if free is None else picture
    parts = laplacian(picture, bands, wrap)
    memories = [momentum] if momentum else [Momentum.none(part) for part in parts]
    mean = torch.zeros_like(picture)
    for step in range(1, steps + 1):
        if (step - 1) % REMATCH == 0:
            objective.match(picture)
        if picture[0, 0].numel() > LARGE:
            release_memory()
        terms, gradient = objective.gradient(picture)
        size = rate * (1 - decay * 0.5 * (1 - math.cos(math.pi * (step - 1) / steps)))
        for part, memory, slope in zip(parts, memories, laplacian_gradient(gradient, parts, wrap), strict=True):
            memory.steps += 1
            memory.first.lerp_(slope, 1 - betas[0])
            memory.second.mul_(betas[1]).addcmul_(slope, slope, value=1 - betas[1])
            scale = (memory.second / (1 - betas[1] ** memory.steps)).sqrt_().add_(epsilon)
            move = torch.div(memory.first, scale, out=scale).mul_(size / (1 - betas[0] ** memory.steps))
            part.sub_(move if free is None or bands > 1 else move.mul_(free))
        if bands == 1:
            picture = parts[0].clamp_(0, 1)
        else:
            picture = collapsed(parts, wrap)
            picture = (picture if start is None or free is None else torch.lerp(start, picture, free)).clamp_(0, 1)
        mean.lerp_(picture, 1 - average)
        yield Step(terms, mean / (1 - average**step))


def laplacian(picture: Tensor, bands: int, wrap: Wrap = (False, False)) -> list[Tensor]:
    """`picture` [1, 3, H, W] as `bands` that add up to it: what each halving loses, and last the smallest picture."""
    parts: list[Tensor] = []
    while len(parts) < bands - 1 and min(picture.shape[2:]) >= 4:
        height, width = picture.shape[2:]
        half = resized(picture, height // 2, width // 2, wrap)
        parts.append(picture - resized(half, height, width, wrap))
        picture = half
    return [*parts, picture.clone()]


def collapsed(parts: Sequence[Tensor], wrap: Wrap = (False, False)) -> Tensor:
    """The picture of these bands."""
    picture = parts[-1]
    for part in reversed(parts[:-1]):
        picture = part + resized(picture, part.shape[2], part.shape[3], wrap)
    return picture


def laplacian_gradient(gradient: Tensor, parts: Sequence[Tensor], wrap: Wrap = (False, False)) -> list[Tensor]:
    """The gradient with respect to each of the bands `parts`, from that with respect to their picture [1, 3, H, W]."""
    with torch.enable_grad():
        leaves = [part.detach().requires_grad_() for part in parts]
        return list(torch.autograd.grad(collapsed(leaves, wrap), leaves, gradient))


def lbfgs(picture: Tensor, objective: Objective, steps: int, *, free: Tensor | None = None) -> Iterator[Step]:
    """L-BFGS with a strong-Wolfe line search (Nocedal and Wright 2006, chapter 7); arguments as for `adam`.

    The iterates are not clipped, which would spoil the curvature estimate; the pictures yielded are.
    """
    pixels = picture.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([pixels], lr=1, max_iter=1, max_eval=10, history_size=20,
                                  tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe")  # fmt: skip
    terms: dict[str, float] = {}

    def closure() -> float:
        found, gradient = objective.gradient(pixels)
        if not terms:  # the first look in a step is at the picture as it is, further ones search the line
            terms.update(found)
        pixels.grad = gradient if free is None else gradient * free
        return sum(found.values())

    for step in range(steps):
        if step % REMATCH == 0:
            objective.match(pixels.detach())
        terms.clear()
        optimiser.step(closure)
        yield Step(dict(terms), pixels.detach().clamp(0, 1))
