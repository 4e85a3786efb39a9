"""GAN: losses against closed forms, updates that keep to their own network, and a sampler that does as told."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from impasto.data.dataset import Batch
from impasto.errors import ModelError, SettingsError
from impasto.models.gan import GAN, GANConfig, discriminator_loss, generator_loss, gradient_penalty
from impasto.training.contract import KnownPixels

NETWORKS = ("convolutional", "dense")


def small(**settings: object) -> GAN:
    torch.manual_seed(0)
    return GAN(GANConfig(**{"size": 8, "latent": 4, "width": 4, **settings}))  # type: ignore[arg-type]


def a_batch(model: GAN, n: int = 6) -> Batch:
    config = model.config
    images = torch.rand(n, config.channels, config.size, config.size, generator=torch.Generator().manual_seed(1))
    return Batch(images, torch.arange(n) % config.classes if config.classes else None)


def optimisers(model: GAN, rate: float) -> dict[str, torch.optim.Optimizer]:
    return {name: torch.optim.Adam(group, rate, betas=(0.0, 0.99)) for name, group in model.groups().items()}


def train(model: GAN, batches: list[Batch], rate: float) -> None:
    steppers = optimisers(model, rate)
    for batch in batches:
        for update in model.updates(batch):
            steppers[update.group].zero_grad()
            update.loss.backward()
            steppers[update.group].step()


def discriminator_losses(model: GAN, steps: int) -> list[float]:
    """Of the same batch with the same latents and the same weights, step after step."""
    losses = []
    for _ in range(steps):
        torch.manual_seed(0)
        losses.append(next(model.updates(a_batch(model))).loss.item())
    return losses


def test_penalty_of_a_linear_discriminator_is_the_square_of_its_weights() -> None:
    linear = nn.Linear(12, 1)
    images = torch.randn(5, 3, 2, 2, requires_grad=True)
    penalty = gradient_penalty(linear(images.flatten(1)).squeeze(1), images)
    torch.testing.assert_close(penalty, linear.weight.square().sum())
    penalty.backward()
    torch.testing.assert_close(linear.weight.grad, 2 * linear.weight.detach())


def test_penalty_of_half_the_square_is_the_mean_square_of_the_pictures() -> None:
    images = torch.randn(5, 3, 2, 2, requires_grad=True)
    penalty = gradient_penalty(images.square().sum((1, 2, 3)) / 2, images)
    torch.testing.assert_close(penalty, images.square().sum((1, 2, 3)).mean())


def test_logistic_losses_are_binary_cross_entropies() -> None:
    real, fake = torch.randn(2, 7).unbind()
    entropy = F.binary_cross_entropy_with_logits
    one, zero = torch.ones(7), torch.zeros(7)
    torch.testing.assert_close(discriminator_loss(real, fake, "logistic"), entropy(real, one) + entropy(fake, zero))
    torch.testing.assert_close(generator_loss(real, fake, "logistic"), entropy(fake, one))


def test_relativistic_losses_see_only_differences() -> None:
    real, fake = torch.randn(2, 7).unbind()
    expected = -torch.log(torch.sigmoid(real - fake)).mean()
    torch.testing.assert_close(discriminator_loss(real, fake, "relativistic"), expected)
    torch.testing.assert_close(discriminator_loss(real + 5, fake + 5, "relativistic"), expected)
    torch.testing.assert_close(generator_loss(fake, real, "relativistic"), expected)


@pytest.mark.parametrize("loss", ["logistic", "relativistic"])
@pytest.mark.parametrize("network", NETWORKS)
def test_each_update_touches_only_its_own_network(network: str, loss: str) -> None:
    model = small(network=network, loss=loss, classes=3)
    steppers = optimisers(model, 1e-3)
    order = []
    for update in model.updates(a_batch(model)):
        before = {name: [p.detach().clone() for p in group] for name, group in model.groups().items()}
        model.zero_grad()
        update.loss.backward()
        steppers[update.group].step()
        order.append(update.group)
        for name, group in model.groups().items():
            same = [torch.equal(new, old) for new, old in zip(group, before[name], strict=True)]
            assert not all(same) if name == update.group else all(same)
            assert name == update.group or all(p.grad is None for p in group)
    assert order == ["discriminator", "generator"]
    assert all(p.requires_grad for p in model.parameters())


def test_the_groups_are_all_parameters_once() -> None:
    model = small(classes=3)
    grouped = [p for group in model.groups().values() for p in group]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()}
    assert len(grouped) == len(list(model.parameters()))


def test_updates_that_are_cut_short_leave_nothing_frozen() -> None:
    model = small()
    updates = model.updates(a_batch(model))
    next(updates)
    updates.close()
    assert all(p.requires_grad for p in model.parameters())


def test_the_lazy_penalty_comes_every_k_steps_and_weighs_k_times_more() -> None:
    plain, every = (
        discriminator_losses(small(gamma=0.0), 1)[0],
        discriminator_losses(small(gamma=3.0, penalty_every=1), 1),
    )
    lazy = discriminator_losses(small(gamma=3.0, penalty_every=4), 9)
    assert lazy[0] - plain == pytest.approx(4 * (every[0] - plain), rel=1e-3)
    assert [loss != pytest.approx(plain) for loss in lazy] == [True, False, False, False] * 2 + [True]


@pytest.mark.parametrize("loss", ["logistic", "relativistic"])
def test_the_penalty_is_half_of_gamma_times_squared_slopes(loss: str) -> None:
    """R1 on real pictures; R2 on fakes too where the loss is relativistic. Slopes by finite differences."""
    model = small(loss=loss, gamma=300.0, penalty_every=1, size=4)
    batch = a_batch(model, 2)
    torch.manual_seed(0)
    update = next(model.updates(batch))
    torch.manual_seed(0)
    real, fake = batch.images * 2 - 1, model.generator(model.latents(2), None)

    @torch.no_grad()
    def squared_slopes(images: Tensor) -> Tensor:
        shifts = torch.eye(16).view(16, 1, 1, 4, 4) * 1e-3
        rises = [
            model.discriminator(images + shift, None) - model.discriminator(images - shift, None) for shift in shifts
        ]
        return (torch.stack(rises) / 2e-3).square().sum(0).mean()

    logits = model.discriminator(real, None), model.discriminator(fake, None)
    penalty = squared_slopes(real) + (squared_slopes(fake) if loss == "relativistic" else 0)
    found = update.loss - discriminator_loss(*logits, loss)
    assert found.item() == pytest.approx(150 * penalty.item(), rel=0.02)


def test_the_step_counter_is_saved() -> None:
    model = small()
    discriminator_losses(model, 5)
    assert model.state_dict()["step"] == 5


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32), (3, 64), (1, 27), (2, 5)])
def test_pictures_have_the_channels_and_the_size_of_the_data(network: str, channels: int, size: int) -> None:
    model = small(network=network, channels=channels, size=size)
    assert len(list(model.updates(a_batch(model, 2)))) == 2
    pictures = model.eval().sample(3)
    assert pictures.shape == (3, channels, size, size)
    assert 0 <= pictures.min() < pictures.max() <= 1


@pytest.mark.parametrize("network", NETWORKS)
def test_labels_change_picture_and_verdict(network: str) -> None:
    model = small(network=network, classes=2).eval()
    latents = model.latents(1).repeat(2, 1)
    pictures = model.decode(latents, torch.tensor([0, 1]))
    assert not torch.allclose(pictures[0], pictures[1])
    torch.testing.assert_close(model.decode(latents, torch.tensor([1, 0])), pictures.flip(0))
    verdicts = model.discriminator(pictures[:1].repeat(2, 1, 1, 1), torch.tensor([0, 1]))
    assert verdicts[0] != verdicts[1]


@pytest.mark.parametrize(("network", "rate", "steps"), [("convolutional", 5e-3, 200), ("dense", 2e-3, 60)])
def test_learns_two_pictures_and_forgets_neither(network: str, rate: float, steps: int) -> None:
    """With a penalty strong enough to converge on two points: with a weak one a GAN runs from one to the other."""
    model = small(network=network, gamma=10.0, penalty_every=1)
    two = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    train(model, [Batch(two.repeat(16, 1, 1, 1))] * steps, rate)
    torch.manual_seed(1)
    pictures = model.eval().sample(200)
    distances = (pictures[:, None] - two).abs().mean((2, 3, 4))
    assert distances.min(1).values.mean() < 0.15
    assert 0.25 < distances.argmin(1).float().mean() < 0.75


def test_learns_which_picture_belongs_to_which_label() -> None:
    model = small(classes=2)
    two = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    train(model, [Batch(two.repeat(16, 1, 1, 1), torch.arange(2).repeat(16))] * 100, rate=5e-3)
    means = model.eval().sample(20, labels=torch.tensor([0, 1])).mean((1, 2, 3))
    torch.testing.assert_close(means, torch.tensor([0.0, 1.0]).repeat(10), atol=0.1, rtol=0)


@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 28, 0), (1, 28, 10), (3, 32, 0)])
def test_classic_layers_are_the_tutorials(channels: int, size: int, classes: int) -> None:
    chosen = {name: value for name, value in GAN.presets["classic"].items() if hasattr(GANConfig, name)}
    model = GAN(GANConfig(channels=channels, size=size, classes=classes, **chosen))
    pixels = channels * size**2

    def widths(network: nn.Module) -> list[tuple[int, int]]:
        return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]

    assert widths(model.generator) == [(100 + classes, 256), (256, 512), (512, 1024), (1024, pixels)]
    assert widths(model.discriminator) == [(pixels + classes, 512), (512, 256), (256, 1)]
    assert [m.num_features for m in model.generator.modules() if isinstance(m, nn.BatchNorm1d)] == [256, 512, 1024]
    assert {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert GAN.presets["classic"]["rate"] == 2e-4 and GAN.presets["classic"]["betas"] == (0.5, 0.999)


def test_the_convolutional_discriminator_has_no_batch_norm() -> None:
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in small().discriminator.modules())


def test_samples_are_decoded_latents() -> None:
    model = small(classes=3).eval()
    first, again = (torch.Generator().manual_seed(1) for _ in range(2))
    labels = torch.arange(3)
    expected = model.decode(model.latents(3, again), labels)
    assert torch.equal(model.sample(3, generator=first, labels=labels), expected)


def test_truncation_shrinks_the_latents_down_to_one_picture() -> None:
    model = small().eval()
    first, again = (torch.Generator().manual_seed(1) for _ in range(2))
    assert torch.equal(model.sample(3, generator=first, truncation=0.5), model.decode(model.latents(3, again) / 2))
    one = model.sample(3, truncation=0.0)
    assert torch.equal(one, one[:1].expand_as(one))


def test_what_a_gan_cannot_do_is_one_clear_line() -> None:
    model = small(classes=3).eval()
    given = KnownPixels(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.bool))
    with pytest.raises(ModelError, match="cannot complete"):
        model.sample(1, given=given)
    with pytest.raises(SettingsError, match=r"\(2, 4\)"):
        model.decode(torch.zeros(2, 5))
    with pytest.raises(SettingsError, match="truncation"):
        model.sample(1, truncation=-1.0)
    with pytest.raises(SettingsError, match="0 to 2"):
        model.sample(1, labels=torch.tensor([3]))
    with pytest.raises(SettingsError, match="did you mean logistic"):
        small(loss="logistik")
    with pytest.raises(SettingsError, match="did you mean dense"):
        small(network="dens")
