"""PixelRNN against plain loops, sums over all pictures, and gradients."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from impasto.data.dataset import Batch
from impasto.data.levels import brightness
from impasto.errors import SettingsError
from impasto.models.pixelrnn import KINDS, Layer, PixelRNN, PixelRNNConfig, Recurrence, skewing
from impasto.training.contract import KnownPixels


def network(kind: str = "diagonal", seed: int = 0, **settings: int) -> PixelRNN:
    """A small network in float64 whose every weight matters."""
    torch.manual_seed(seed)
    model = PixelRNN(PixelRNNConfig(kind=kind, **{"size": 5, "layers": 2, "hidden": 6, **settings})).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


def pictures_of(model: PixelRNN, n: int) -> Tensor:
    config = model.config
    return brightness(
        torch.randint(config.levels, (n, config.channels, config.size, config.size)), config.levels
    ).double()


def influence(model: PixelRNN) -> Tensor:
    """Which inputs [C * P] of a picture move the logits of which pixels and channels [P * C], in order of drawing."""
    config = model.config
    model.layers[-1].up.bias.data += 100  # no ReLU hides what it was given
    model.head.bias.data += 1000
    picture = torch.rand(1, config.channels, config.size, config.size, dtype=torch.double, requires_grad=True)
    logits = model(picture).permute(0, 3, 4, 1, 2).flatten(0, 3)  # [P * C, levels]
    rows = [torch.autograd.grad(row.abs().sum(), picture, retain_graph=True)[0] for row in logits]
    return torch.stack([row[0].permute(1, 2, 0).flatten() for row in rows]) != 0


@pytest.mark.parametrize("channels", [1, 3])
def test_each_pixel_and_channel_of_the_diagonal_kind_sees_all_earlier_ones_and_no_other(channels: int) -> None:
    seen = influence(network(channels=channels, size=6, levels=3, layers=1))
    assert seen.equal(torch.ones_like(seen).tril(-1))


def test_no_pixel_or_channel_of_the_row_kind_sees_itself_or_a_later_one() -> None:
    seen = influence(network("row", channels=3, size=4, levels=3))
    assert not seen.triu().any()
    assert seen.diagonal(-1).all()  # but always the one just before


def test_a_pixel_of_the_row_kind_sees_what_the_kernel_saw_in_its_triangle() -> None:
    size = 9
    kernel: dict[tuple[int, int], set[tuple[int, int]]] = {}  # what the first convolution sees from each pixel
    triangle: dict[tuple[int, int], set[tuple[int, int]]] = {}
    expected = torch.zeros(size * size, size * size, dtype=torch.bool)
    for i, j in itertools.product(range(size), repeat=2):
        window = {(i + down, j + right) for down in range(-3, 1) for right in range(-3, 4) if (down, right) < (0, 0)}
        window = {(r - 1, size - 1) if c == -1 else (r, c) for r, c in window}  # the padding at the left
        kernel[i, j] = {(r, c) for r, c in window if r >= 0 and 0 <= c < size}
        above = [triangle.get((i - 1, j + right), set()) for right in (-1, 0, 1)]
        triangle[i, j] = kernel[i, j].union(kernel.get((i, j - 1), set()), *above)
        expected[i * size + j, [r * size + c for r, c in triangle[i, j]]] = True
    assert influence(network("row", size=size, layers=1)).equal(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_skewing_takes_every_pixel_once_and_layers_undo_it(kind: str) -> None:
    order, fronts = skewing(kind, 6)
    assert order.sort().values.equal(torch.arange(36))
    assert [front.start for front in fronts[1:]] == [front.end for front in fronts[:-1]]
    assert len(fronts) == (6 if kind == "row" else 11)
    layer = Layer(PixelRNNConfig(kind=kind, size=6, hidden=2))
    for there, back in zip(layer.order, layer.raster, strict=True):
        assert torch.arange(36)[there][back].equal(torch.arange(36))


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_equals_a_plain_loop_over_pixels(kind: str) -> None:
    size, hidden, n = 4, 3, 2
    torch.manual_seed(0)
    layer = Layer(PixelRNNConfig(kind=kind, size=size, hidden=hidden)).double()
    x = torch.randn(size * size, n, 2 * hidden, dtype=torch.double)
    maps = x.view(size, size, n, 2 * hidden)
    nothing = torch.zeros(n, hidden, dtype=torch.double)

    def run(lstm: torch.nn.Module, maps: Tensor) -> dict[tuple[int, int], Tensor]:
        h: dict[tuple[int, int], Tensor] = {}
        c: dict[tuple[int, int], Tensor] = {}
        for i, j in itertools.product(range(size), repeat=2):
            if kind == "row":
                left = maps[i, j - 1] if j else torch.zeros_like(maps[0, 0])
                near = [(i - 1, j), (i - 1, j - 1), (i - 1, j + 1)]
                seen = [*(h.get(place, nothing) for place in near), left, maps[i, j]]
            else:
                near = [(i, j - 1), (i - 1, j)]
                seen = [*(h.get(place, nothing) for place in near), maps[i, j]]
            gates = torch.cat(seen, -1) @ lstm.weight.T + lstm.bias
            enter, keep, leave = (gates[:, k * hidden : (k + 1) * hidden].sigmoid() for k in range(3))
            c[i, j] = keep * c.get(near[0], nothing) + enter * torch.tanh(gates[:, 3 * hidden :] / 2)
            h[i, j] = leave * torch.tanh(c[i, j])
        return h

    left = run(layer.lstms[0], maps)
    right = run(layer.lstms[1], maps.flip(1)) if kind == "diagonal" else {}
    results = layer(x).view_as(maps)
    for i, j in itertools.product(range(size), repeat=2):
        total = left[i, j] + right.get((i - 1, size - 1 - j), nothing)
        expected = maps[i, j] + total @ layer.up.weight.T + layer.up.bias
        torch.testing.assert_close(results[i, j], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_backward_pass_by_hand_is_the_gradient(kind: str) -> None:
    torch.manual_seed(0)
    _, fronts = skewing(kind, 3)
    directions, places = KINDS[kind].directions, len(KINDS[kind].states)
    features = torch.randn(directions, 9, 2, 3, dtype=torch.double, requires_grad=True)
    weight = torch.randn(directions, places * 2 + 3, 8, dtype=torch.double, requires_grad=True)
    bias = torch.randn(directions, 1, 8, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *given: Recurrence.apply(*given, fronts), (features, weight, bias))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "levels", "classes"), [(1, 2, 0), (1, 2, 3), (2, 3, 0)])
def test_the_probabilities_of_all_pictures_sum_to_one(kind: str, channels: int, levels: int, classes: int) -> None:
    size = 2 if channels == 1 else 1
    model = network(kind, size=size, channels=channels, levels=levels, classes=classes)
    every = torch.tensor(list(itertools.product(range(levels), repeat=channels * size * size)))
    pictures = brightness(every, levels).double().view(-1, channels, size, size)
    labels = torch.full((len(pictures),), 2) if classes else None
    likelihood = model.log_likelihood(pictures, labels)
    assert likelihood.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert likelihood.std() > 0.1


def test_a_new_model_finds_all_levels_alike_and_counts_in_nats_and_bits() -> None:
    torch.manual_seed(0)
    model = PixelRNN(PixelRNNConfig(size=4, channels=3, hidden=4, layers=1, levels=256))
    (update,) = model.updates(Batch(torch.rand(2, 3, 4, 4)))
    assert update.metrics["bits/dim"] == pytest.approx(8, abs=0.1)
    assert update.loss.item() == pytest.approx(float(update.metrics["bits/dim"]) * 48 * math.log(2), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "levels", "classes"), [(1, 2, 3), (3, 4, 0)])
def test_cached_sampling_equals_computing_everything_for_each_pixel(
    kind: str, channels: int, levels: int, classes: int
) -> None:
    model = network(kind, channels=channels, levels=levels, classes=classes).float()
    cached, plain = (
        model.sample(6, cached=way, temperature=0.8, generator=torch.Generator().manual_seed(1))
        for way in (True, False)
    )
    assert cached.equal(plain)
    assert cached.unique().equal(brightness(torch.arange(levels), levels))


def test_samples_come_as_often_as_their_likelihood_says() -> None:
    model = network(size=2)
    n = 4000
    drawn = model.sample(n, generator=torch.Generator().manual_seed(0)).flatten(1)
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)))
    share = (drawn[:, None] == every).all(2).double().mean(0)
    p = model.log_likelihood(every.double().view(-1, 1, 2, 2)).exp()
    assert ((share - p).abs() < 4.5 * (p * (1 - p) / n).sqrt() + 1e-9).all()


def test_given_pixels_stay_and_the_others_follow_from_them() -> None:
    model = network(levels=4).float()
    images, known = torch.rand(3, 1, 5, 5), torch.zeros(1, 1, 5, 5, dtype=torch.bool)
    known[..., :3, :] = True
    seen = [
        model.sample(3, given=KnownPixels(pictures, known), generator=torch.Generator().manual_seed(0))
        for pictures in (images, 1 - images)
    ]
    for result, pictures in zip(seen, (images, 1 - images), strict=True):
        assert torch.where(known, result, 0).equal(torch.where(known, pictures, 0))
    assert not seen[0][..., 3:, :].equal(seen[1][..., 3:, :])


def test_sampling_yields_after_each_row_with_the_rest_still_black() -> None:
    model = network(size=4, levels=256).float()
    steps = list(model.sampling(2, generator=torch.Generator().manual_seed(0)))
    assert len(steps) == 4
    for row, step in enumerate(steps):
        assert step[..., : row + 1, :].equal(steps[-1][..., : row + 1, :]) and not step[..., row + 1 :, :].any()


def test_the_class_counts_where_the_model_is_conditional() -> None:
    model = network(classes=3)
    pictures = pictures_of(model, 4)
    first, second = (model.log_likelihood(pictures, torch.full((4,), label)) for label in (0, 1))
    assert (first - second).abs().min() > 0
    free = network(classes=3, conditional=False)
    assert free.log_likelihood(pictures, torch.zeros(4).long()).equal(free.log_likelihood(pictures))


@pytest.mark.parametrize("kind", KINDS)
def test_one_batch_is_learnt_by_heart(kind: str) -> None:
    torch.manual_seed(0)
    model = PixelRNN(PixelRNNConfig(kind=kind, size=6, layers=1, hidden=12))
    batch = Batch(torch.randint(2, (4, 1, 6, 6)).float())
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-2)
    for _ in range(100):
        (update,) = model.updates(batch)
        optimiser.zero_grad()
        update.loss.backward()
        optimiser.step()
    # Four pictures in a row of their own probabilities cost log(4) each, and nothing is cheaper on average.
    assert math.log(4) - 1e-3 < update.loss.item() < math.log(4) + 1


def test_autocast_does_not_change_what_is_learnt() -> None:
    model = network(hidden=8).float()
    batch = Batch(pictures_of(model, 3).float())
    losses = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            (update,) = model.updates(batch)
        update.loss.backward()
        losses.append(update.loss)
    assert losses[1].dtype == torch.float32
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "diagnal"}, "did you mean diagonal"),
        ({"levels": 1}, "levels goes from 2 to 256, not 1"),
        ({"channels": 3, "hidden": 2}, "hidden needs at least one feature for each of 3 channels"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict[str, int], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        PixelRNN(PixelRNNConfig(**settings))


def test_a_conditional_model_asks_for_the_class() -> None:
    with pytest.raises(SettingsError, match="give the labels"):
        network(classes=3).log_likelihood(torch.zeros(1, 1, 5, 5).double())
