"""Whose colours the result wears, against NumPy and scikit-image."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from skimage.color import rgb2lab
from skimage.exposure import match_histograms
from torch import Tensor

from impasto.style import colour

Make = Callable[[int], Tensor]


def lab(picture: Tensor) -> np.ndarray:
    return rgb2lab(picture[0].permute(1, 2, 0).numpy())


def inside_gamut(picture: Tensor) -> np.ndarray:
    return ((picture > 0) & (picture < 1)).all(1)[0].numpy()


def test_lightness_has_the_same_lightness_and_no_colour(photo: Make) -> None:
    found, wanted = lab(colour.lightness(photo(64))), lab(photo(64))
    np.testing.assert_allclose(found[..., 0], wanted[..., 0], atol=0.1)
    np.testing.assert_allclose(found[..., 1:], 0, atol=0.1)


def test_colours_are_those_of_the_one_and_lightness_that_of_the_other(photo: Make) -> None:
    picture, colours = photo(64).flip(3), photo(64)
    result = colour.with_colours_of(picture, colours)
    inside = inside_gamut(result)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(lab(result)[..., 1:][inside], lab(colours)[..., 1:][inside], atol=0.2)
    np.testing.assert_allclose(lab(result)[..., 0][inside], lab(picture)[..., 0][inside], atol=0.2)


def test_a_picture_with_its_own_colours_is_itself(photo: Make) -> None:
    torch.testing.assert_close(colour.with_colours_of(photo(64), photo(64)), photo(64), rtol=0, atol=2e-3)


def test_colours_outside_the_gamut_are_clipped_without_a_word() -> None:
    strong = torch.tensor([1.0, 1.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)  # no dark colour is as strong
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = colour.with_colours_of(torch.linspace(0, 1, 64).view(1, 1, 8, 8).expand(1, 3, 8, 8), strong)
    assert result.min() >= 0 and result.max() <= 1 and bool(result.isfinite().all())


def test_covariance_matching_gives_mean_and_covariance_of_the_reference(photo: Make) -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(0, 0.05, (3, 3)) + 0.02
    reference = torch.from_numpy(0.5 + (mix @ rng.normal(size=(3, 400))).clip(-2, 2)).float().view(1, 3, 20, 20)
    result = colour.covariance_matched(0.3 + 0.4 * photo(64), reference)
    assert inside_gamut(result).all()  # else clipping would change the moments
    np.testing.assert_allclose(result.mean((0, 2, 3)), reference.mean((0, 2, 3)), atol=1e-4)
    x, y = (np.cov(p[0].flatten(1).numpy()) for p in (result, reference))
    np.testing.assert_allclose(x, y, atol=0.005 * np.abs(y).max())


def test_covariance_matching_moves_colours_no_further_than_it_must(photo: Make) -> None:
    """The mean squared move is the Wasserstein-2 distance of the colours; a picture matched to itself stays."""
    before = 0.25 + 0.5 * photo(64)
    turn = torch.tensor([[0.9, -0.5, 0.0], [0.5, 0.5, -0.3], [-0.2, 0.3, 0.5]])
    reference = 0.5 + 0.5 * torch.einsum("cd,ndhw->nchw", turn, before - 0.5)
    moved = colour.covariance_matched(before, reference)
    assert inside_gamut(moved).all()
    x, y, z = (p[0].flatten(1).double().numpy() for p in (before, reference, moved))
    c, d = np.cov(x, bias=True), np.cov(y, bias=True)
    least = np.sum((x.mean(1) - y.mean(1)) ** 2) + np.trace(c + d - 2 * sqrtm(sqrtm(c) @ d @ sqrtm(c)).real)
    np.testing.assert_allclose(np.mean(np.sum((z - x) ** 2, axis=0)), least, rtol=1e-3)
    torch.testing.assert_close(colour.covariance_matched(photo(64), photo(64)), photo(64), rtol=0, atol=1e-3)
    darker = 0.2 + 0.5 * photo(64)
    torch.testing.assert_close(colour.covariance_matched(photo(64), darker), darker, rtol=0, atol=2e-3)


def test_histogram_matching_gives_the_quantiles_of_the_reference(photo: Make, painting: Make) -> None:
    result = colour.histogram_matched(photo(96), painting(80))
    levels = np.linspace(0.02, 0.98, 25)
    for channel in range(3):
        found = np.quantile(result[0, channel].numpy(), levels)
        wanted = np.quantile(painting(80)[0, channel].numpy(), levels)
        np.testing.assert_allclose(found, wanted, atol=0.01)


def test_histogram_matching_keeps_the_order_of_values(photo: Make, painting: Make) -> None:
    before, after = photo(48)[0, 0].flatten(), colour.histogram_matched(photo(48), painting(48))[0, 0].flatten()
    assert bool((after[before.argsort()].diff() >= 0).all())


@pytest.mark.parametrize("match", [colour.histogram_matched, colour.covariance_matched, colour.with_colours_of])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_pictures_of_one_colour_give_finite_pictures(
    match: Callable[[Tensor, Tensor], Tensor], level: float, photo: Make
) -> None:
    flat = torch.full_like(photo(32), level)
    for result in (match(flat, photo(32)), match(photo(32), flat), match(flat, flat)):
        assert result.shape == flat.shape and result.dtype == torch.float32
        assert bool(result.isfinite().all()) and result.min() >= 0 and result.max() <= 1


def test_a_picture_matched_to_one_colour_gets_that_colour(photo: Make) -> None:
    flat = torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    for match in (colour.histogram_matched, colour.covariance_matched):
        result = match(photo(32), flat)
        torch.testing.assert_close(result, flat[..., :1, :1].expand_as(result), rtol=0, atol=0.01)


def test_histogram_matching_is_scikit_images_where_all_pixels_count(photo: Make, painting: Make) -> None:
    before, reference = photo(60), painting(48)
    wanted = match_histograms(before[0].numpy(), reference[0].numpy(), channel_axis=0)
    np.testing.assert_array_equal(colour.histogram_matched(before, reference)[0].numpy(), wanted)


@pytest.mark.parametrize("match", [colour.histogram_matched, colour.covariance_matched])
def test_pixels_of_no_weight_are_as_if_they_were_not_there(match: Callable[..., Tensor], photo: Make) -> None:
    left, right = photo(64)[..., :32], photo(64)[..., 32:]
    before, reference = (torch.cat([p, torch.rand_like(p)], 3) for p in (left, right))
    weight = torch.ones(1, 1, *left.shape[2:])
    weight = torch.cat([weight, torch.zeros_like(weight)], 3)
    found = match(before, reference, weight, weight)[..., :32]
    torch.testing.assert_close(found, match(left, right), rtol=0, atol=1e-4)


def test_a_pixel_of_weight_two_counts_as_two() -> None:
    levels = torch.rand(1, 3, 1, 6, generator=torch.Generator().manual_seed(0))
    doubled = torch.cat([levels, levels[..., :2]], 3)
    weight = torch.tensor([2.0, 2, 1, 1, 1, 1]).view(1, 1, 1, 6)
    before = torch.linspace(0, 1, 30).view(1, 1, 5, 6).expand(1, 3, 5, 6)
    for match in (colour.histogram_matched, colour.covariance_matched):
        torch.testing.assert_close(match(before, levels, None, weight), match(before, doubled), rtol=0, atol=1e-5)
