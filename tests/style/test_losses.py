"""Losses against NumPy and SciPy (`sqrtm`), their gradients against finite differences in float64."""

import numpy as np
import pytest
import torch
from scipy.linalg import inv, sqrtm
from torch import Tensor

from impasto.gaussian import Moments, measure
from impasto.style import losses

C = 6


def gaussian(seed: int, rank: int = 50) -> Moments:
    """Statistics of `rank` + 1 random positions, in float64; the covariance has that rank or is full."""
    rng = np.random.default_rng(seed)
    f = torch.from_numpy(rng.normal(size=(C, C)) @ rng.normal(size=(C, rank + 1)) + rng.normal(size=(C, 1)))
    return of(f)


def of(f: Tensor) -> Moments:
    return Moments(f.mean(1), f @ f.T / f.shape[1], torch.tensor(float(f.shape[1])))


def nothing() -> Moments:
    return Moments(torch.zeros(C).double(), torch.zeros(C, C).double(), torch.tensor(1.0))


def parts(s: Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    m, second = s.mean.numpy(), s.second.numpy()
    return m, second, second - np.outer(m, m)


def test_gram_is_the_relative_squared_frobenius_distance() -> None:
    found, wanted = gaussian(0), gaussian(1)
    s, t = found.second.numpy(), wanted.second.numpy()
    expected = np.linalg.norm(s - t) ** 2 / np.linalg.norm(t) ** 2
    np.testing.assert_allclose(losses.gram(found, wanted), expected)


def test_moments_judges_mean_and_covariance_apart() -> None:
    found, wanted = gaussian(0), gaussian(1)
    (m, _, c), (n, _, d) = parts(found), parts(wanted)
    expected = np.sum((m - n) ** 2) / np.sum(n**2) + np.sum((c - d) ** 2) / np.sum(d**2)
    np.testing.assert_allclose(losses.moments(found, wanted), expected)


def test_wasserstein_is_the_bures_formula_of_scipy() -> None:
    found, wanted = gaussian(0), gaussian(1)
    (m, _, c), (n, t, d) = parts(found), parts(wanted)
    root = sqrtm(d)
    distance = np.sum((m - n) ** 2) + np.trace(c + d - 2 * sqrtm(root @ c @ root).real)
    np.testing.assert_allclose(losses.wasserstein(found, wanted), distance / np.trace(t), rtol=1e-5)


def test_wasserstein_of_diagonal_gaussians_is_the_distance_of_means_and_deviations() -> None:
    m, n = torch.tensor([1.0, 2, 3]).double(), torch.tensor([0.0, 2, 5]).double()
    a, b = torch.tensor([1.0, 2, 3]).double(), torch.tensor([2.0, 2, 1]).double()  # standard deviations
    one = torch.tensor(1.0)
    found = Moments(m, torch.diag(a**2) + torch.outer(m, m), one)
    wanted = Moments(n, torch.diag(b**2) + torch.outer(n, n), one)
    expected = ((m - n) ** 2 + (a - b) ** 2).sum() / (b**2 + n**2).sum()
    torch.testing.assert_close(losses.wasserstein(found, wanted), expected, rtol=1e-5, atol=0)


def test_the_gradient_of_wasserstein_is_one_minus_the_transport_map() -> None:
    """dW2^2/dC = I - C*^1/2 (C*^1/2 C C*^1/2)^-1/2 C*^1/2 (Bhatia, Jain and Lim 2019)."""
    found, wanted = gaussian(0), gaussian(1)
    (m, _, c), (n, t, d) = parts(found), parts(wanted)
    root = sqrtm(d)
    transport = root @ inv(sqrtm(root @ c @ root)).real @ root
    mean, second = found.mean.requires_grad_(), found.second.requires_grad_()
    losses.wasserstein(Moments(mean, second, found.weight), wanted).backward()
    by_covariance = (np.eye(C) - transport) / np.trace(t)
    by_mean = 2 * (m - n) / np.trace(t) - 2 * by_covariance @ m  # the covariance holds the mean, too
    assert mean.grad is not None and second.grad is not None
    np.testing.assert_allclose((second.grad + second.grad.T) / 2, by_covariance, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(mean.grad, by_mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", losses.STYLE_LOSSES)
def test_gradients_of_style_losses_are_those_of_finite_differences(name: str) -> None:
    wanted, features = gaussian(1), torch.from_numpy(np.random.default_rng(2).normal(size=(C, 30))).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: losses.STYLE_LOSSES[name](of(f), wanted), (features,))


@pytest.mark.parametrize("name", losses.STYLE_LOSSES)
def test_a_style_loss_is_zero_at_its_target(name: str) -> None:
    assert abs(losses.STYLE_LOSSES[name](gaussian(0), gaussian(0))) < 1e-5


@pytest.mark.parametrize("name", ["gram", "wasserstein"])
def test_a_style_loss_of_one_is_as_wrong_as_no_features_at_all(name: str) -> None:
    torch.testing.assert_close(losses.STYLE_LOSSES[name](nothing(), gaussian(0)).item(), 1.0, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["gram", "moments", "wasserstein"])
def test_style_losses_do_not_depend_on_the_scale_of_features(name: str) -> None:
    rng = np.random.default_rng(3)
    f, g = (torch.from_numpy(rng.normal(1, 1, size=(C, 40))) for _ in range(2))
    loss = losses.STYLE_LOSSES[name]
    torch.testing.assert_close(loss(of(1000 * f), of(1000 * g)), loss(of(f), of(g)), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["gram", "moments", "wasserstein"])
def test_style_losses_do_not_depend_on_the_basis_of_features(name: str) -> None:
    """So a network whose features are rotated principal components of another's can stand in for it."""
    rng = np.random.default_rng(4)
    f, g = (torch.from_numpy(rng.normal(1, 1, size=(C, 40))) for _ in range(2))
    turn = torch.linalg.qr(torch.from_numpy(rng.normal(size=(C, C)))).Q
    loss = losses.STYLE_LOSSES[name]
    torch.testing.assert_close(loss(of(turn @ f), of(turn @ g)), loss(of(f), of(g)), rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", losses.STYLE_LOSSES)
@pytest.mark.parametrize(("found_rank", "wanted_rank"), [(0, 3), (3, 0), (0, 0), (2, 2), (3, 50)])
def test_singular_covariances_give_finite_losses_and_gradients(name: str, found_rank: int, wanted_rank: int) -> None:
    """As flat pictures and small ones have them, in the engine's float32."""
    rng = np.random.default_rng(5)
    f, g = (torch.from_numpy(_of_rank(rng, 24, rank)).float() for rank in (found_rank, wanted_rank))
    f.requires_grad_()
    loss = losses.STYLE_LOSSES[name](measure(f), measure(g))
    loss.backward()
    assert f.grad is not None
    assert bool(loss.isfinite()) and bool(f.grad.isfinite().all())


def _of_rank(rng: np.random.Generator, channels: int, rank: int) -> np.ndarray:
    """Features [1, C, 6, 20] whose covariance has `rank`."""
    f = rng.normal(size=(channels, rank)) @ rng.normal(size=(rank, 120)) + rng.normal(size=(channels, 1))
    return f.reshape(1, channels, 6, 20)


def test_wasserstein_stays_near_zero_at_its_target_when_both_are_singular_in_float32() -> None:
    features = torch.from_numpy(_of_rank(np.random.default_rng(6), 96, 8)).float()
    assert abs(losses.wasserstein(measure(features), measure(features))) < 0.01


def test_classic_is_the_mean_squared_difference_of_gram_matrices() -> None:
    found, wanted = gaussian(0), gaussian(1)
    expected = np.mean((found.second.numpy() - wanted.second.numpy()) ** 2)
    np.testing.assert_allclose(losses.classic(found, wanted), expected)


def test_content_is_the_mean_squared_difference_over_the_power() -> None:
    f, g = torch.randn(1, 4, 5, 6), torch.randn(1, 4, 5, 6)
    expected = np.mean((f.numpy() - g.numpy()) ** 2) / 2.5
    np.testing.assert_allclose(losses.content(f, g, 2.5), expected, rtol=1e-5)


def test_variance_is_the_mean_over_channels_of_the_variance_over_positions() -> None:
    draw = torch.Generator().manual_seed(0)
    f, weight = torch.randn(1, 37, 6, 7, generator=draw).bfloat16(), torch.rand(1, 1, 6, 7, generator=draw)
    exact, shares = f.double().numpy()[0].reshape(37, -1), weight.double().numpy().ravel()
    assert losses.variance(f).item() == pytest.approx(exact.var(1).mean(), rel=1e-4)
    apart = exact - np.average(exact, axis=1, weights=shares)[:, None]
    weighted = np.average(apart**2, axis=1, weights=shares).mean()
    assert losses.variance(f, weight).item() == pytest.approx(weighted, rel=1e-4)


def test_the_content_loss_of_a_flat_picture_is_one() -> None:
    f = torch.randn(1, 4, 5, 6) + 2
    flat = f.mean((2, 3), keepdim=True).expand_as(f)
    torch.testing.assert_close(losses.content(flat, f, losses.variance(f)).item(), 1.0)


def test_the_variance_of_a_flat_picture_can_be_divided_by() -> None:
    """Beside its power, or else the content of a blank canvas would outweigh every style."""
    assert losses.variance(torch.full((1, 4, 5, 6), 3.0)) >= 0.01 * 9
    assert losses.variance(torch.zeros(1, 4, 5, 6)) > 0


@pytest.mark.parametrize("power", [1, 2])
def test_total_variation_is_that_of_numpy_differences(power: int) -> None:
    picture = torch.rand(1, 3, 7, 9)
    x = picture.numpy()
    total = (np.abs(np.diff(x, axis=3)) ** power).sum() + (np.abs(np.diff(x, axis=2)) ** power).sum()
    np.testing.assert_allclose(losses.total_variation(picture, power), total / x.size, rtol=1e-5)


def test_total_variation_of_a_ramp_is_its_slope() -> None:
    ramp = torch.arange(10).float().mul(0.1).expand(1, 3, 8, 10)
    torch.testing.assert_close(losses.total_variation(ramp, 1).item(), 0.1 * 9 / 10)
    torch.testing.assert_close(losses.total_variation(ramp, 2).item(), 0.01 * 9 / 10)
    assert losses.total_variation(torch.full((1, 3, 8, 10), 0.3)) == 0


@pytest.mark.parametrize("power", [1, 2])
def test_gradients_of_total_variation_are_those_of_finite_differences(power: int) -> None:
    picture = torch.rand(1, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: losses.total_variation(p, power), (picture,))
