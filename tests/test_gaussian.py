"""Moments against NumPy: they add over tiles, masks and styles; maps and distances against what defines them."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from impasto.gaussian import Moments, measure, merge, monge, wasserstein2
from impasto.style import losses


@pytest.fixture
def features() -> Tensor:
    return torch.randn(1, 5, 12, 16, generator=torch.Generator().manual_seed(0)) + 0.5


@pytest.fixture
def mask() -> Tensor:
    return torch.rand(1, 1, 12, 16, generator=torch.Generator().manual_seed(1))


def assert_same(found: Moments, wanted: Moments) -> None:
    torch.testing.assert_close(found.mean, wanted.mean)
    torch.testing.assert_close(found.second, wanted.second)
    torch.testing.assert_close(found.weight, wanted.weight)


def test_moments_are_those_of_numpy(features: Tensor) -> None:
    f = features[0].flatten(1).double().numpy()
    found = measure(features)
    np.testing.assert_allclose(found.mean, f.mean(1), atol=1e-6)
    np.testing.assert_allclose(found.second, f @ f.T / 192, atol=1e-5)
    np.testing.assert_allclose(found.covariance, np.cov(f, bias=True), atol=1e-5)
    assert found.weight == 192


def test_masked_moments_are_weighted_averages(features: Tensor, mask: Tensor) -> None:
    f, w = features[0].flatten(1).double().numpy(), mask.flatten().double().numpy()
    found = measure(features, mask)
    np.testing.assert_allclose(found.mean, np.average(f, axis=1, weights=w), atol=1e-6)
    np.testing.assert_allclose(found.second, (w * f) @ f.T / w.sum(), atol=1e-5)
    np.testing.assert_allclose(found.covariance, np.cov(f, aweights=w, bias=True), atol=1e-5)
    np.testing.assert_allclose(found.weight, w.sum(), rtol=1e-6)


def test_a_mask_of_ones_is_no_mask(features: Tensor) -> None:
    assert_same(measure(features, torch.ones(1, 1, 12, 16)), measure(features))


def test_a_binary_mask_selects(features: Tensor) -> None:
    mask = torch.zeros(1, 1, 12, 16)
    mask[..., 2:7, 3:] = 1
    assert_same(measure(features, mask), measure(features[..., 2:7, 3:]))


def test_a_larger_mask_is_averaged_onto_the_grid_of_the_features(features: Tensor, mask: Tensor) -> None:
    large = torch.rand(1, 1, 48, 64, generator=torch.Generator().manual_seed(2))
    small = large.reshape(12, 4, 16, 4).mean((1, 3))[None, None]
    assert_same(measure(features, large), measure(features, small))


def test_gram_of_two_tiles_equals_gram_of_the_whole(features: Tensor) -> None:
    left, right = measure(features[..., :5]), measure(features[..., 5:])
    assert_same(left + right, measure(features))


def test_masked_tiles_add_up(features: Tensor, mask: Tensor) -> None:
    tiles = [measure(features[:, :, rows], mask[:, :, rows]) for rows in (slice(0, 3), slice(3, 4), slice(4, 12))]
    assert_same(merge(tiles), measure(features, mask))


def test_a_mask_and_its_complement_add_up_to_the_whole(features: Tensor, mask: Tensor) -> None:
    assert_same(measure(features, mask) + measure(features, 1 - mask), measure(features))


def test_merging_associates_and_commutes(features: Tensor, mask: Tensor) -> None:
    a, b, c = measure(features[..., :3]), measure(features[..., 3:11]), measure(features[..., 11:], mask[..., 11:])
    assert_same((a + b) + c, a + (b + c))
    assert_same((a + b) + c, merge([c, b, a]))


def test_a_blend_counts_styles_by_their_shares_and_not_by_their_sizes(features: Tensor) -> None:
    small, large = measure(features[..., :2]), measure(features[..., 2:])
    blend = merge([small, large], (0.25, 0.75))
    torch.testing.assert_close(blend.mean, 0.25 * small.mean + 0.75 * large.mean)
    torch.testing.assert_close(blend.second, 0.25 * small.second + 0.75 * large.second)


def test_only_the_proportion_of_shares_counts(features: Tensor) -> None:
    parts = [measure(features[..., :2]), measure(features[..., 2:])]
    few, many = merge(parts, (1, 3)), merge(parts, (10, 30))
    torch.testing.assert_close(few.mean, many.mean)
    torch.testing.assert_close(few.second, many.second)


def test_a_blend_of_blends_is_the_blend_of_all(features: Tensor) -> None:
    a, b, c = measure(features[..., :3]), measure(features[..., 3:9]), measure(features[..., 9:])
    stepwise = merge([merge([a, b], (1, 2)), c], (3, 4))
    at_once = merge([a, b, c], (1, 2, 4))
    torch.testing.assert_close(stepwise.second, at_once.second)


def test_an_empty_region_counts_for_nothing(features: Tensor) -> None:
    empty = measure(features, torch.zeros(1, 1, 12, 16))
    assert empty.weight == 0
    assert_same(measure(features) + empty, measure(features))


def test_features_in_half_precision_are_summed_in_float32(features: Tensor) -> None:
    half = features.bfloat16()
    assert_same(measure(half), measure(half.float()))


def correlated(channels: int, positions: int, seed: int) -> Tensor:
    """Features [1, C, 1, N] whose channels depend on each other."""
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=draw)
    features = mixing @ torch.randn(channels, positions, generator=draw) + torch.randn(channels, 1, generator=draw)
    return features.view(1, channels, 1, positions)


@pytest.fixture
def content() -> Tensor:
    return correlated(6, 60_000, seed=0)


@pytest.fixture
def style() -> Moments:
    return measure(correlated(6, 5_000, seed=1))


def test_moved_features_have_the_wanted_moments(content: Tensor, style: Moments) -> None:
    moved = measure(monge(measure(content), style, ridge=1e-6)(content))
    torch.testing.assert_close(moved.mean, style.mean, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(moved.covariance, style.covariance, atol=1e-2, rtol=1e-2)


def test_no_map_to_these_moments_moves_features_less(content: Tensor, style: Moments) -> None:
    found = measure(content)
    moved = (monge(found, style, ridge=1e-6)(content) - content).square().sum(1).mean()
    distance = losses.wasserstein(found, style) * style.second.trace()  # the closed form of the least cost
    torch.testing.assert_close(moved, distance, rtol=2e-3, atol=0)


def test_the_map_is_the_gradient_of_a_convex_function(content: Tensor, style: Moments) -> None:
    matrix = monge(measure(content), style).matrix  # Brenier's theorem
    torch.testing.assert_close(matrix, matrix.T, atol=1e-4, rtol=1e-4)
    assert torch.linalg.eigvalsh(matrix.double()).min() > 0


def test_features_that_are_right_already_stay(content: Tensor) -> None:
    few = content[..., :20]  # fewer than it takes to know their covariance well
    torch.testing.assert_close(monge(measure(few), measure(few))(few), few, atol=1e-4, rtol=1e-4)


def test_flat_features_are_not_blown_up(style: Moments) -> None:
    flat = 0.3 + 1e-6 * torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(2))
    moved = monge(measure(flat), style)(flat)
    torch.testing.assert_close(moved, style.mean[:, None, None].expand_as(moved[0])[None], atol=0.05, rtol=0.05)


def test_a_weakened_map_goes_part_of_the_way(content: Tensor, style: Moments) -> None:
    move = monge(measure(content), style)
    torch.testing.assert_close(move.weakened(0)(content), content)
    torch.testing.assert_close(move.weakened(1)(content), move(content))
    torch.testing.assert_close(
        move.weakened(0.25)(content), 0.75 * content + 0.25 * move(content), atol=1e-4, rtol=1e-4
    )


def test_the_distance_is_that_of_scipys_square_root(content: Tensor, style: Moments) -> None:
    a = measure(content)
    covariances = [m.covariance.double().numpy() for m in (a, style)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    wanted = np.square((a.mean - style.mean).double().numpy()).sum() + np.trace(sum(covariances) - 2 * root)
    assert wasserstein2(a, style) == pytest.approx(wanted, rel=1e-4)
    assert wasserstein2(a, a) == pytest.approx(0, abs=1e-3)


def test_the_distance_of_what_was_moved_is_how_far_it_went(content: Tensor, style: Moments) -> None:
    """Of two Gaussians, the squared distance is the mean squared way of the map between them."""
    moved = monge(measure(content), style, ridge=1e-6)(content)
    way = (moved - content).square().sum(1).mean().item()
    assert wasserstein2(measure(content), style) == pytest.approx(way, rel=1e-2)
