"""PixelCNN: causality by gradients, likelihoods that sum to 1, and cached drawing that equals the naive one."""

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from impasto.data.dataset import Batch
from impasto.errors import SettingsError
from impasto.models.pixelcnn import Cache, PixelCNN, PixelCNNConfig
from impasto.training.contract import KnownPixels


def network(seed: int = 0, scale: float = 1.0, **settings: int | bool) -> PixelCNN:
    """A small network in float64 with random weights everywhere, also where training starts from zeros."""
    torch.manual_seed(seed)
    model = PixelCNN(PixelCNNConfig(**{"width": 6, "gates": 6, "layers": 2, "head": 6, "size": 5} | settings)).double()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=scale * parameter[0].numel() ** -0.5)
    return model


def all_pictures(channels: int, levels: int, size: int) -> Tensor:
    pixels = channels * size * size
    every = torch.tensor(list(itertools.product(range(levels), repeat=pixels))).double() / (levels - 1)
    return every.view(-1, channels, size, size)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_pixel_depends_on_all_earlier_pixels_in_reach_and_on_no_others(channels: int) -> None:
    size, layers = 9, 2
    reach = 3 + layers  # less than the size: what lies beyond it must not be seen either
    model = network(channels=channels, size=size, layers=layers, levels=3, width=8, gates=7, head=24)
    torch.nn.init.constant_(
        model.layers[-1].horizontal_out.bias, 10
    )  # opens every ReLU: a shut one hides what is there
    torch.nn.init.constant_(model.head.bias, 100)
    pictures = torch.rand(2, channels, size, size).double().requires_grad_()
    logits = model(pictures)
    for c, i, j in itertools.product(range(channels), range(size), range(size)):
        (gradient,) = torch.autograd.grad(logits[:, c, 1, i, j].sum(), pictures, retain_graph=True)
        seen = gradient.abs().amax(0) > 0  # [C, S, S]
        expected = torch.zeros(channels, size, size, dtype=torch.bool)
        expected[:, max(0, i - reach) : i, max(0, j - reach) : j + reach + 1] = True
        expected[:, i, max(0, j - reach) : j] = True
        expected[:c, i, j] = True
        assert torch.equal(seen, expected), (c, i, j)


@pytest.mark.parametrize(("channels", "levels", "size"), [(1, 2, 2), (2, 2, 2), (1, 3, 2), (3, 5, 1)])
def test_the_likelihoods_of_all_pictures_sum_to_one(channels: int, levels: int, size: int) -> None:
    model = network(channels=channels, levels=levels, size=size, scale=2)
    likelihood = model.log_likelihood(all_pictures(channels, levels, size)).exp()
    assert likelihood.sum().item() == pytest.approx(1, abs=1e-6)
    assert likelihood.max() > 2 * likelihood.mean()  # and they differ


def test_the_loss_is_the_negative_log_likelihood_in_nats() -> None:
    model = network(channels=3, levels=256, size=4)
    images = torch.randint(256, (6, 3, 4, 4)).double() / 255
    (update,) = model.updates(Batch(images))
    nats = -model.log_likelihood(images).mean()
    assert update.loss.item() == pytest.approx(nats.item())
    assert update.metrics["nats"] == pytest.approx(nats.item())
    assert float(update.metrics["bits/dim"]) == pytest.approx(nats.item() / 48 / math.log(2))


def test_an_untrained_model_finds_all_levels_alike() -> None:
    model = PixelCNN(PixelCNNConfig(levels=16, size=4, width=4, gates=4, head=4, layers=1))
    images = torch.randint(16, (2, 1, 4, 4)) / 15
    assert model.log_likelihood(images).tolist() == pytest.approx([-16 * math.log(16)] * 2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "settings",
    [
        {"levels": 2, "size": 12},
        {"levels": 4, "channels": 3, "size": 5, "width": 7},
        {"levels": 256, "classes": 4},
    ],
    ids=str,
)
def test_cached_drawing_chooses_the_pixels_of_naive_drawing(settings: dict[str, int], seed: int) -> None:
    model = network(seed=seed, scale=2, **settings).float()
    size, channels = model.config.size, model.config.channels
    given = KnownPixels(torch.rand(1, channels, size, size), torch.rand(1, 1, size, size) < 0.2)

    def draw(cached: bool) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return list(model.sampling(5, given=given, generator=generator, temperature=0.9, cached=cached))

    rows = draw(cached=True)
    assert len(rows) == size
    assert all(torch.equal(a, b) for a, b in zip(rows, draw(cached=False), strict=True))
    assert rows[-1].std() > 0.1


def test_a_picture_does_not_depend_on_how_many_are_drawn_with_it() -> None:
    model = network(size=8, scale=2).float()
    many, few = (model.sample(n, generator=torch.Generator().manual_seed(3)) for n in (9, 2))
    assert torch.equal(many[:2], few)


def test_cached_drawing_needs_less_than_a_twentieth_of_the_operations() -> None:
    model = network(size=28)
    pictures = torch.zeros(1, 1, 28, 28).double()
    with FlopCounterMode(display=False) as row:
        cache = Cache(model, 1, None)
        for j in range(28):
            cache.pixel(pictures, 0, j)
    with FlopCounterMode(display=False) as once:
        model(pictures)
    assert 0 < 28 * row.get_total_flops() < 28 * 28 * once.get_total_flops() / 20


def test_given_pixels_stay_and_the_others_are_drawn() -> None:
    model = network(size=6, scale=2).float()
    images = torch.rand(4, 1, 6, 6)  # grey, though the model draws black and white
    known = torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    known[:, :, :3] = True
    *_, third, _, _, last = model.sampling(4, given=KnownPixels(images, known))
    assert torch.equal(last[:, :, :3], images[:, :, :3])
    assert torch.equal(third[:, :, :3], images[:, :, :3])
    assert not third[:, :, 3:].any()  # still to come
    assert set(last[:, :, 3:].unique().tolist()) == {0, 1}


def test_what_is_drawn_continues_the_given_pixels() -> None:
    model = network(size=3)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():  # a pixel repeats the one above it: the centre of the last row of the first kernel
        model.vertical.weight[0, 0, -1, 3] = 1
        model.head.weight[0, 0] = 1
        model.logits.weight[1, 0] = 100
        model.vertical.bias[0] = 0.5  # pixels are -1 or 1: features -0.5, cut to 0, or 1.5
        model.logits.bias[1] = -50
    images = (torch.rand(20, 1, 3, 3) < 0.5).float()
    known = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    known[:, :, 0] = True
    drawn = model.sample(20, given=KnownPixels(images, known))
    assert torch.equal(drawn, images[:, :, :1].expand(-1, -1, 3, -1))


def test_samples_are_as_frequent_as_their_likelihood_says() -> None:
    model = network(size=2, scale=2).float()
    likelihood = model.log_likelihood(all_pictures(1, 2, 2).float()).exp()  # [16]
    drawn = model.sample(20_000, generator=torch.Generator().manual_seed(0)).flatten(1)
    frequency = torch.bincount((drawn @ torch.tensor([8.0, 4, 2, 1])).long(), minlength=16) / 20_000
    assert (frequency - likelihood).abs().max() < 0.015  # four standard deviations
    assert likelihood.max() > 0.15


def test_a_low_temperature_draws_the_likeliest_level() -> None:
    model = network(size=4, levels=8, scale=2).float()
    drawn = model.sample(3, temperature=1e-4)
    assert torch.equal((drawn * 7).round().long(), model(drawn).argmax(2))


def train(model: PixelCNN, images: Tensor, labels: Tensor | None, steps: int) -> float:
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(steps):
        (update,) = model.updates(Batch(images, labels))
        optimiser.zero_grad()
        update.loss.backward()
        optimiser.step()
    return update.loss.item()


@pytest.mark.parametrize(("levels", "channels"), [(2, 1), (16, 3)])
def test_one_batch_is_learnt_by_heart(levels: int, channels: int) -> None:
    torch.manual_seed(0)
    config = PixelCNNConfig(levels=levels, channels=channels, size=6, width=24, gates=24, head=48, layers=1)
    images = torch.randint(levels, (4, channels, 6, 6)) / (levels - 1)
    if levels != 2:
        images = torch.nextafter(images, torch.ones(()))  # not a hair below the level's edge
    loss = train(PixelCNN(config), images, None, 120)
    assert loss < 1.3 * math.log(4)  # nothing but which of the four it is


def test_samples_follow_what_was_learnt_for_each_class() -> None:
    """Class 0 is columns, class 1 rows of stripes, each in two phases of equal probability."""
    torch.manual_seed(0)
    column = torch.tensor([0.0, 1.0]).repeat(3).expand(6, 6)
    images = torch.stack([column, 1 - column, column.T, 1 - column.T])[:, None]
    labels = torch.tensor([0, 0, 1, 1])
    model = PixelCNN(PixelCNNConfig(size=6, classes=2, width=8, gates=8, head=8, layers=2))
    assert train(model, images, labels, 100) == pytest.approx(math.log(2), abs=0.05)
    drawn = model.sample(100, labels=labels, generator=torch.Generator().manual_seed(0))
    for label in (0, 1):
        of_class = drawn[labels.repeat(25) == label]
        first, second = images[labels == label]
        one, other = ((of_class == phase).flatten(1).all(1).sum().item() for phase in (first, second))
        assert one + other >= 48
        assert 12 <= one <= 38


def test_a_model_that_is_not_conditional_ignores_the_classes_of_its_data() -> None:
    model = network(classes=10, conditional=False)
    images = (torch.rand(3, 1, 5, 5) < 0.5).double()
    labels = torch.tensor([1, 2, 3])
    assert torch.equal(model.log_likelihood(images, labels), model.log_likelihood(images))


def test_likelihood_depends_on_the_class_and_asks_for_it() -> None:
    model = network(classes=2)
    images = (torch.rand(1, 1, 5, 5) < 0.5).double()
    one, other = (model.log_likelihood(images, torch.tensor([label])) for label in (0, 1))
    assert one != other
    with pytest.raises(SettingsError, match="labels"):
        model.log_likelihood(images)


def test_a_temperature_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="temperature goes from"):
        network().sample(2, temperature=0.0)


@pytest.mark.parametrize("settings", [{"levels": 1}, {"levels": 257}, {"channels": 3, "gates": 2}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(SettingsError):
        PixelCNN(PixelCNNConfig(**settings))
