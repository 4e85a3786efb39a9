"""The optimisers against torch.optim.Adam and problems whose answer is known."""

import math
from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from impasto.style.objective import Objective
from impasto.style.optimise import Momentum, adam, collapsed, laplacian, laplacian_gradient, lbfgs


class Valley:
    """A convex quadratic around `bottom`, up to 1000 times steeper in some pixels than in others."""

    def __init__(self, bottom: Tensor, steepest: float = 1000.0):
        self.bottom = bottom
        self.curvature = torch.logspace(0, math.log10(steepest), bottom.numel()).view_as(bottom)

    def match(self, picture: Tensor) -> None:
        """Nothing is matched."""

    def gradient(self, picture: Tensor) -> tuple[dict[str, float], Tensor]:
        away = picture.detach() - self.bottom
        loss = (0.5 * self.curvature * away**2).sum().item()
        return {"style": 0.75 * loss, "content": 0.25 * loss, "variation": 0.0}, self.curvature * away


class Slope:
    """The same gradient everywhere."""

    def match(self, picture: Tensor) -> None:
        """Nothing is matched."""

    def gradient(self, picture: Tensor) -> tuple[dict[str, float], Tensor]:
        return {"style": picture.sum().item()}, torch.ones_like(picture)


def valley(inside: bool = True) -> Objective:
    bottom = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    return cast(Objective, Valley(bottom if inside else 3 * bottom - 1))


def start() -> Tensor:
    return torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(1))


PLAIN: dict[str, Any] = {"decay": 0.0, "average": 0.0}


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    "options",
    [{"rate": 0.01, "betas": (0.9, 0.99), "epsilon": 1e-9}, {"rate": 0.02, "betas": (0.99, 0.999), "epsilon": 25.5}],
)
def test_adam_is_that_of_torch_clipped_to_the_pixel_range(options: dict[str, Any], inside: bool) -> None:
    objective = valley(inside)
    pixels = start().requires_grad_()
    reference = torch.optim.Adam([pixels], lr=options["rate"], betas=options["betas"], eps=options["epsilon"])
    for step in adam(start(), objective, 40, **options, **PLAIN):
        pixels.grad = objective.gradient(pixels)[1]
        reference.step()
        pixels.data.clamp_(0, 1)
        torch.testing.assert_close(step.picture, pixels.detach(), rtol=1e-5, atol=1e-6)
    assert bool(((step.picture == 0) | (step.picture == 1)).any()) is not inside


def test_a_cosine_takes_the_decay_off_the_rate() -> None:
    """On a slope with one gradient everywhere Adam moves by just the rate."""
    pictures = [torch.full((1, 3, 4, 6), 0.9)]
    pictures += [s.picture for s in adam(pictures[0], cast(Objective, Slope()), 8, rate=0.05, decay=0.9, average=0.0)]
    moves = [(a - b).mean().item() for a, b in pairwise(pictures)]
    assert moves == pytest.approx([0.05 * (1 - 0.9 * (1 - math.cos(math.pi * t / 8)) / 2) for t in range(8)], rel=1e-4)


def test_averaging_yields_the_bias_corrected_running_mean_of_the_iterates() -> None:
    iterates = [s.picture for s in adam(start(), valley(), 10, decay=1.0, average=0.0)]
    averaged = [s.picture for s in adam(start(), valley(), 10, decay=1.0, average=0.8)]
    for t, found in enumerate(averaged, 1):
        weights = [0.8 ** (t - i) for i in range(1, t + 1)]
        wanted = sum(w * x for w, x in zip(weights, iterates, strict=False)) / sum(weights)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_adam_goes_down() -> None:
    losses = [sum(step.terms.values()) for step in adam(start(), valley(), 60)]
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize("optimiser", [adam, lbfgs])
def test_terms_are_those_of_the_picture_before_the_step(optimiser: Any) -> None:
    objective, before = (
        cast(Objective, Valley(0.3 + 0.4 * start().flip(3), steepest=10)),
        start(),
    )  # no step leaves [0, 1]
    options = PLAIN if optimiser is adam else {}
    for step in optimiser(before, objective, 4, **options):
        assert step.terms == pytest.approx(objective.gradient(before)[0], rel=1e-4)
        before = step.picture


@pytest.mark.parametrize("optimiser", [adam, lbfgs])
def test_pixels_that_are_not_free_stay_untouched(optimiser: Any) -> None:
    free = torch.ones(1, 1, 4, 6)
    free[..., :2] = 0
    for step in optimiser(start(), valley(), 5, free=free):
        if optimiser is lbfgs:
            assert torch.equal(step.picture[..., :2], start()[..., :2])
        torch.testing.assert_close(step.picture[..., :2], start()[..., :2], rtol=1e-6, atol=0)  # a mean of equals
    assert bool((step.picture[..., 2:] != start()[..., 2:]).all())


def test_half_free_pixels_move_half_as_far() -> None:
    before = torch.full((1, 3, 4, 6), 0.5)
    (step,) = adam(before, cast(Objective, Slope()), 1, rate=0.1, free=torch.full((1, 1, 4, 6), 0.5), **PLAIN)
    torch.testing.assert_close(before - step.picture, torch.full_like(before, 0.05))


def test_adam_goes_on_where_its_momentum_stopped() -> None:
    *_, at_once = adam(start(), valley(), 6, **PLAIN)
    memory = Momentum.none(start())
    *_, half_way = adam(start(), valley(), 3, momentum=memory, **PLAIN)
    assert memory.steps == 3
    *_, stepwise = adam(half_way.picture, valley(), 3, momentum=memory, **PLAIN)
    torch.testing.assert_close(stepwise.picture, at_once.picture)
    *_, forgetful = adam(half_way.picture, valley(), 3, **PLAIN)
    assert not torch.allclose(forgetful.picture, at_once.picture, atol=1e-3)


def test_momentum_can_be_enlarged_with_the_picture() -> None:
    memory = Momentum(torch.full((1, 3, 4, 6), 0.25), torch.rand(1, 3, 4, 6), 7)
    large = memory.resized(9, 13)
    torch.testing.assert_close(large.first, torch.full((1, 3, 9, 13), 0.25))
    assert large.second.shape == (1, 3, 9, 13) and bool((large.second >= 0).all())
    assert large.steps == 7


@pytest.mark.parametrize("optimiser", [adam, lbfgs])
def test_closing_early_ends_the_work_and_leaves_the_pictures(optimiser: Any) -> None:
    before, objective, calls = start(), valley(), 0

    class Counting:
        def match(self, picture: Tensor) -> None:
            """Nothing is matched."""

        def gradient(self, picture: Tensor) -> tuple[dict[str, float], Tensor]:
            nonlocal calls
            calls += 1
            return objective.gradient(picture)

    run = optimiser(before, cast(Objective, Counting()), 100)
    first = next(run)
    kept = first.picture.clone()
    next(run)
    so_far = calls
    run.close()
    assert calls == so_far < 25
    assert next(run, None) is None
    assert torch.equal(before, start())  # what was given
    assert torch.equal(first.picture, kept)  # what was yielded


@pytest.mark.parametrize("optimiser", [adam, lbfgs])
def test_pictures_lie_in_the_pixel_range(optimiser: Any) -> None:
    for step in optimiser(start(), valley(inside=False), 10):
        assert step.picture.min() >= 0 and step.picture.max() <= 1 + 1e-6
        assert not step.picture.requires_grad


def test_lbfgs_finds_the_bottom_where_adam_is_still_under_way() -> None:
    objective = valley()
    *_, slow = adam(start(), objective, 25)
    *_, fast = lbfgs(start(), objective, 25)
    after = [sum(objective.gradient(step.picture)[0].values()) for step in (slow, fast)]
    assert after[1] < 0.05 * after[0]
    *_, last = lbfgs(start(), objective, 150)
    torch.testing.assert_close(last.picture, cast(Any, objective).bottom, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (37, 53)])
def test_the_bands_of_a_picture_add_up_to_it(height: int, width: int) -> None:
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))
    bands = laplacian(picture, 5)
    assert [tuple(band.shape[2:]) for band in bands] == [(height >> i, width >> i) for i in range(5)]
    torch.testing.assert_close(collapsed(bands), picture)


def test_bands_of_what_wraps_round_have_no_border() -> None:
    picture = torch.rand(1, 3, 32, 64, generator=torch.Generator().manual_seed(5))
    for axis, wrap in ((2, (True, False)), (3, (False, True))):
        bands = laplacian(picture, 4, wrap)
        torch.testing.assert_close(collapsed(bands, wrap), picture)
        for band, moved in zip(bands, laplacian(picture.roll(8, axis), 4, wrap), strict=True):
            torch.testing.assert_close(moved, band.roll(8 * band.shape[3] // 64, axis))


def test_the_gradient_of_the_bands_is_that_of_finite_differences() -> None:
    weights = torch.rand(1, 3, 20, 12, generator=torch.Generator().manual_seed(3)).double()  # of a linear loss
    for number, gradient in enumerate(laplacian_gradient(weights, laplacian(weights, 3))):
        for place in ((0, 0, 0, 0), (0, 2, 1, 2)):
            bands = [torch.zeros_like(band) for band in laplacian(weights, 3)]
            bands[number][place] = 1.0
            assert gradient[place].item() == pytest.approx((weights * collapsed(bands)).sum().item())


def test_steps_on_bands_reach_the_bottom_and_keep_what_is_not_free() -> None:
    bottom = 0.2 + 0.6 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    valley, first = cast(Objective, Valley(bottom, steepest=1.0)), torch.full((1, 3, 32, 32), 0.5)
    free = torch.zeros(1, 1, 32, 32)
    free[..., :16] = 1
    *_, last = adam(first, valley, 300, rate=0.02, bands=4)
    assert (last.picture - bottom).abs().max() < 0.02
    *_, last = adam(first, valley, 300, rate=0.02, bands=4, free=free)
    torch.testing.assert_close(last.picture[..., 16:], first[..., 16:])
    assert (last.picture - bottom)[..., :8].abs().max() < 0.02  # at its border the bands are held on one side
