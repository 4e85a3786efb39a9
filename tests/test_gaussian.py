"""Statistics against two-line NumPy formulas: they add over tiles, masks and styles."""

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.gaussian import Moments, measure, merge


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
