"""The VAE's bounds against closed forms and numerical integration, and what its settings change."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from impasto.data.dataset import Batch
from impasto.data.levels import brightness
from impasto.errors import SettingsError
from impasto.models import vae
from impasto.models.vae import VAE, VAEConfig
from impasto.training.contract import KnownPixels

TINY = {"size": 4, "latent": 2, "width": 16, "filters": 8, "kl_warmup": 0}


def model(**settings):
    torch.manual_seed(0)
    made = VAE(VAEConfig(**TINY | settings))
    for posterior in made.posteriors:  # untrained, it would be the prior whatever the picture
        nn.init.normal_(posterior[-1].weight, std=0.05)
    return made


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def binary(n=3, size=4, seed=1):
    return torch.bernoulli(torch.full((n, 1, size, size), 0.5), generator=seeded(seed))


def step(made, images, labels=None):
    torch.manual_seed(3)
    (update,) = made.updates(Batch(images, labels))
    return update


def posteriors(n=5):
    return torch.randn(n, 6, generator=seeded(1)), 0.5 * torch.randn(n, 6, generator=seeded(2))


def exactly(made, images, labels=None, points=161, reach=6.0):
    """Log-likelihood [N] by integration over a plane of latents, with another library's Bernoulli."""
    axis = torch.linspace(-reach, reach, points)
    plane = torch.cartesian_prod(axis, axis)
    prior = Normal(0.0, 1.0).log_prob(plane).sum(1) + 2 * math.log(axis[1] - axis[0])
    whole = None if labels is None else labels.expand(len(plane))
    white = Bernoulli(made.decode(plane, whole).double())
    return torch.stack([(white.log_prob(x.double()).sum((1, 2, 3)) + prior).logsumexp(0) for x in images])


def test_kl_is_that_of_torch_and_of_a_monte_carlo_estimate():
    means, log_scales = posteriors()
    posterior, prior = Normal(means, log_scales.exp()), Normal(torch.zeros(6), torch.ones(6))
    found = vae.kl_divergence(means, log_scales)
    torch.testing.assert_close(found, kl_divergence(posterior, prior).sum(1))
    torch.manual_seed(0)
    drawn = posterior.sample((20_000,))
    estimates = (posterior.log_prob(drawn) - prior.log_prob(drawn)).sum(2)
    error = estimates.std(0) / math.sqrt(len(estimates))
    assert ((found - estimates.mean(0)).abs() < 4 * error).all()


def test_log_ratio_is_that_of_the_two_densities():
    means, log_scales = posteriors()
    latents = torch.randn(5, 6, generator=seeded(7))
    expected = Normal(0.0, 1.0).log_prob(latents) - Normal(means, log_scales.exp()).log_prob(latents)
    torch.testing.assert_close(vae.log_ratio(latents, means, log_scales), expected.sum(1))


def test_bernoulli_likelihood_is_that_of_torch():
    logits = 3 * torch.randn(3, 1, 4, 4, generator=seeded())
    expected = Bernoulli(logits=logits).log_prob(binary()).sum((1, 2, 3))
    torch.testing.assert_close(vae.log_bernoulli(binary(), logits), expected)


@pytest.mark.parametrize("log_scale", [-7.0, -3.0, 0.0, 3.0])
@pytest.mark.parametrize("mean", [-1.3, 0.013, 1.0])
def test_discretised_logistic_sums_to_one_and_its_bins_are_those_of_scipy(mean, log_scale):
    every = (torch.arange(256).double() / 255).view(256, 1, 1, 1)
    found = vae.log_logistic(every, torch.tensor(mean).double(), torch.tensor(log_scale).double())
    assert found.exp().sum().item() == pytest.approx(1, abs=1e-9)
    edges = np.concatenate([[-np.inf], (np.arange(1, 256) * 2 - 1) / 255 - 1, [np.inf]])
    expected = np.diff(scipy.stats.logistic(mean, math.exp(log_scale)).cdf(edges))
    np.testing.assert_allclose(found.exp(), expected, rtol=1e-6, atol=1e-12)


def test_discretised_logistic_has_gradients_far_from_its_mean():
    means = torch.full((1, 1, 1, 1), 1.0, requires_grad=True)
    log_scales = torch.full((1, 1, 1, 1), -7.0, requires_grad=True)
    for level in (0, 1, 128, 254, 255):
        found = vae.log_logistic(brightness(torch.full((1, 1, 1, 1), level), 256), means, log_scales)
        assert all(g.isfinite().all() for g in torch.autograd.grad(found.sum(), (means, log_scales)))


@pytest.mark.parametrize("layers", [1, 2])
def test_importance_weighted_bound_reaches_the_integral_over_the_latents(layers):
    made = model(layers=layers)
    torch.testing.assert_close(
        made.log_likelihood(binary(), generator=seeded(), samples=20_000).double(),
        exactly(made, binary()),
        atol=0.02,
        rtol=0,
    )


@torch.no_grad()
def elbo(made, images, generator=None):
    """The evidence lower bound in nats [N], from one draw of the latents and the exact KL divergence."""
    encoding = made._infer(images, None, generator=generator)
    return made._reconstruction(images, encoding.state) - vae.kl_divergence(encoding.means, encoding.log_scales)


def test_elbo_is_below_the_importance_weighted_bound_which_rises_with_its_samples_to_the_likelihood():
    made, images = model(), binary(1).expand(4000, -1, -1, -1)
    first = elbo(made, images, seeded()).mean()
    bounds = [made.log_likelihood(images, generator=seeded(), samples=k).mean() for k in (2, 16)]
    assert first < bounds[0] < bounds[1] < exactly(made, binary(1))[0] + 0.01


def test_one_sample_of_the_bound_is_the_elbo_in_expectation():
    made, images = model(), binary(1).expand(20_000, -1, -1, -1)
    exact = elbo(made, images, seeded(1))
    bound = made.log_likelihood(images, generator=seeded(2), samples=1)
    error = (exact.var() + bound.var()).sqrt() / math.sqrt(len(images))
    assert abs(exact.mean() - bound.mean()) < 4 * error


def test_the_bound_in_pieces_is_the_bound_at_once(monkeypatch):
    made = model()
    whole = made.log_likelihood(binary(), generator=seeded(), samples=5000)
    monkeypatch.setattr(vae, "DECODED_AT_ONCE", 16 * 700)  # 4x4 pixels, so 700 pictures
    pieces = made.log_likelihood(binary(), generator=seeded(), samples=5000)
    torch.testing.assert_close(pieces, whole, atol=0.1, rtol=0)  # other draws
    few = made.log_likelihood(binary(300), generator=seeded(), samples=3)
    assert few.shape == (300,)


def test_a_batch_twice_as_large_has_the_same_loss(monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda *shape, **_: torch.zeros(*shape) + 0.3)  # the same draw for all
    made = model()
    once, twice = step(made, binary()), step(made, binary().repeat(2, 1, 1, 1))
    torch.testing.assert_close(once.loss, twice.loss)


def test_twice_the_pixels_have_twice_the_reconstruction_and_the_same_kl():
    images, logits = binary(), torch.randn(3, 1, 4, 4, generator=seeded())
    twice = vae.log_bernoulli(images.repeat(1, 1, 2, 1), logits.repeat(1, 1, 2, 1))
    torch.testing.assert_close(twice, 2 * vae.log_bernoulli(images, logits))
    twice = vae.log_logistic(images.repeat(1, 2, 1, 1), logits.repeat(1, 2, 1, 1), logits.repeat(1, 2, 1, 1))
    torch.testing.assert_close(twice, 2 * vae.log_logistic(images, logits, logits))


@pytest.mark.parametrize("samples", [1, 3])
def test_the_loss_is_minus_the_bound_and_the_metrics_add_up(samples):
    made = model(importance_samples=samples)
    update = step(made, binary())
    metrics = update.metrics
    assert metrics["elbo"].item() == pytest.approx((metrics["reconstruction"] - metrics["kl"]).item(), rel=1e-5)
    torch.manual_seed(3)
    torch.bernoulli(binary())  # as the update did
    with torch.no_grad():
        expected = elbo(made, binary()) if samples == 1 else made.log_likelihood(binary(), samples=samples)
    assert -update.loss.item() == pytest.approx(expected.mean().item(), rel=1e-5)


def test_kl_counts_more_with_each_step_of_the_warm_up():
    made = model(kl_warmup=4)
    for weight in (0.25, 0.5, 0.75, 1.0, 1.0):
        update = step(made, binary())
        expected = update.metrics["reconstruction"] - weight * update.metrics["kl"]
        assert -update.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert model(kl_warmup=4).load_state_dict(made.state_dict()).missing_keys == []
    assert made.state_dict()["step"] == 5


def test_bits_per_dim_are_nats_per_pixel_and_channel_over_log_2():
    made = model(likelihood="logistic", channels=3)
    metrics = step(made, torch.rand(2, 3, 4, 4, generator=seeded())).metrics
    assert metrics["bits/dim"].item() == pytest.approx(-metrics["elbo"].item() / 48 / math.log(2), rel=1e-5)


@pytest.mark.parametrize("network", ["dense", "convolutional"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic"])
def test_every_weight_learns_and_the_loss_falls(network, likelihood):
    made = model(
        network=network, likelihood=likelihood, channels=3, size=8, layers=2, conditional=True, classes=4
    ).train()
    images, labels = torch.rand(8, 3, 8, 8, generator=seeded()).round(), torch.arange(8) % 4
    optimiser = torch.optim.Adam(made.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        update = step(made, images, labels)
        optimiser.zero_grad()
        update.loss.backward()
        optimiser.step()
        losses.append(update.loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.parameters())


@pytest.mark.parametrize("network", ["dense", "convolutional"])
def test_samples_are_pictures_that_the_seed_repeats(network):
    made = model(network=network)
    first, again = made.sample(5, generator=seeded()), made.sample(5, generator=seeded())
    assert first.shape == (5, 1, 4, 4)
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, made.sample(5, generator=seeded(1)))


def test_binary_samples_are_black_and_white_as_often_as_their_means_say():
    made, n = model(), 20_000
    drawn, means = made.sample(n, generator=seeded(), binary=True), made.sample(n, generator=seeded())
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), means.mean(0), atol=0.02, rtol=0)


def test_logistic_models_draw_no_binary_pixels():
    with pytest.raises(SettingsError, match="binarised"):
        model(likelihood="logistic").sample(1, binary=True)


def test_completing_a_picture_keeps_what_is_known_and_draws_the_rest():
    made, images = model(), binary(2)
    known = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    known[..., :2, :] = True
    drawn = list(made.sampling(2, given=KnownPixels(images, known), generator=seeded(), rounds=3))
    assert len(drawn) == 4
    for picture in drawn:
        assert torch.equal(picture[..., :2, :], images[..., :2, :])
    assert not torch.equal(drawn[0][..., 2:, :], drawn[-1][..., 2:, :])


def test_a_class_changes_the_picture_and_the_posterior_of_a_conditional_model():
    made = model(conditional=True, classes=3)
    latents = made.latents(1, seeded())
    seven, eight = (made.decode(latents, torch.tensor([label])) for label in (0, 1))
    assert not torch.allclose(seven, eight)
    means = [made.encode(binary(1), torch.tensor([label])) for label in (0, 1)]
    assert not torch.allclose(*means)
    torch.testing.assert_close(
        made.log_likelihood(binary(1), torch.tensor([2]), seeded(), samples=20_000).double(),
        exactly(made, binary(1), torch.tensor([2])),
        atol=0.02,
        rtol=0,
    )


def test_an_unconditional_model_does_not_look_at_the_classes_of_its_data():
    made = model(classes=3)
    assert made.config.classes == 0
    a, b = (made.log_likelihood(binary(1), torch.tensor([label]), seeded()) for label in (0, 1))
    assert torch.equal(a, b)
    with pytest.raises(SettingsError, match="without classes"):
        made.sample(1, labels=torch.tensor([0]))


def test_a_conditional_model_asks_for_the_class():
    with pytest.raises(SettingsError, match="with classes"):
        model(conditional=True, classes=3).log_likelihood(binary())


@pytest.mark.parametrize("layers", [1, 2])
def test_encoding_gives_the_latents_that_decoding_takes(layers):
    made = model(layers=layers)
    means = made.encode(binary())
    assert means.shape == (3, 2)
    torch.testing.assert_close(means, made.encode(binary()), atol=0, rtol=0)
    first = made._infer(binary(), None).means[:, : 2 // layers]  # the first layer's, which follow no draw
    torch.testing.assert_close(means[:, : 2 // layers], first)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "dens"}, "did you mean dense"),
        ({"likelihood": "gauss"}, "bernoulli, logistic"),
        ({"latent": 5, "layers": 2}, "split over 2 layers"),
        ({"network": "convolutional", "size": 30}, "4 divides"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        VAE(VAEConfig(**settings))


def test_the_map_has_two_coordinates():
    assert VAE.presets["map"]["latent"] == 2
