"""Transport of Gaussians against what defines it: the moments it reaches, and how little it moves."""

import pytest
import torch
from torch import Tensor

from impasto.gaussian import Moments, measure, monge
from impasto.style import losses


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
