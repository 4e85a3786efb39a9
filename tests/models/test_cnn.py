"""The classifiers: whitening against its definition, the published shapes, learning, and what must not leak."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import softmax
from torch import nn

from impasto.configs import changed
from impasto.data.dataset import Batch, Stored
from impasto.errors import ModelError, SettingsError
from impasto.models import configure
from impasto.models.cnn import CNN, NOISE, CNNConfig, Whitening

SMALL = {"classes": 4, "channels": 1, "size": 12, "widths": (8, 8)}


def network(**values):
    torch.manual_seed(0)
    return CNN(CNNConfig(**SMALL | values))


def bars(n, classes=4, channels=1, size=12):
    """Pictures of noise with a bright bar that says the class."""
    labels = torch.arange(n) % classes
    images = 0.3 * torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0))
    for image, label in zip(images, labels, strict=True):
        image[:, 3 * int(label) : 3 * int(label) + 3] += 0.6
    return Batch(images, labels)


def trained(model, batch, steps=60):
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    model.train()
    for _ in range(steps):
        for update in model.updates(batch):
            optimiser.zero_grad()
            update.loss.backward()
            optimiser.step()
    return model.eval()


def correlated(n=16, channels=3, size=10):
    """Smooth noise, whose neighbouring pixels and channels go together as those of photographs do."""
    noise = torch.rand(n, 1, size + 2, size + 2, generator=torch.Generator().manual_seed(1))
    tint = torch.tensor([1.0, 0.8, 0.5][:channels]).view(1, -1, 1, 1)
    grain = 0.2 * torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(2))
    return (F.avg_pool2d(noise, 3, 1) * tint + grain).clamp(0, 1)


@pytest.mark.parametrize(("channels", "patch"), [(3, 2), (1, 2), (1, 3)])
def test_whitened_patches_are_uncorrelated_and_of_variance_one(channels, patch):
    images = correlated(channels=channels)
    layer = Whitening(channels, patch)
    values = layer.train()(images).detach()
    half = channels * patch**2
    seen = values[:, :half].movedim(1, 3).reshape(-1, half).double().numpy()
    # With the noise added, a direction of variance v comes out with v / (v + noise).
    patches = np.lib.stride_tricks.sliding_window_view(images.double().numpy(), (channels, patch, patch), (1, 2, 3))
    v = np.linalg.eigvalsh(np.cov(patches.reshape(-1, half).T, bias=True))
    assert v.min() > NOISE
    np.testing.assert_allclose(np.cov(seen.T, bias=True), np.diag(v / (v + NOISE)), atol=1e-3)
    torch.testing.assert_close(values[:, half:], -values[:, :half])


def test_whitening_takes_its_filters_from_the_first_batch_in_training_and_keeps_them():
    layer, images = Whitening(3, 2), correlated()
    assert not layer.eval()(images).any()
    layer.train()(images)
    first = layer.filters.clone()
    layer(images.flip(1))
    torch.testing.assert_close(layer.filters, first, rtol=0, atol=0)


def test_whitening_goes_on_with_loaded_filters():
    layer, again = Whitening(3, 2), Whitening(3, 2)
    layer.train()(correlated())
    again.load_state_dict(layer.state_dict())
    again.train()(correlated().flip(1))
    torch.testing.assert_close(again.filters, layer.filters, rtol=0, atol=0)


def test_whitening_is_as_exact_under_autocast():
    images = correlated()
    images = images[:, :1].expand(-1, 3, -1, -1)  # grey: most directions of a patch do not vary at all
    exact, mixed = Whitening(3, 2), Whitening(3, 2)
    exact.fit(images)
    with torch.autocast("cpu", torch.bfloat16):
        mixed.fit(images)
    torch.testing.assert_close(mixed.filters, exact.filters)


def test_whitening_of_a_single_colour_is_finite():
    layer = Whitening(3, 2)
    assert layer.train()(torch.full((4, 3, 8, 8), 0.5)).isfinite().all()


def test_airbench_begins_by_handing_on_what_it_is_given():
    convolutions = [m for m in network(widths=(6, 20)).modules() if isinstance(m, nn.Conv2d)]
    for convolution, both in zip(convolutions, (6, 6, 6, 20), strict=True):  # of 8 channels the first takes six
        x = torch.rand(2, convolution.in_channels, 5, 5)
        torch.testing.assert_close(convolution(x)[:, :both], x[:, :both])
        assert (convolution(x)[:, both:].std((0, 2, 3)) > 0.01).all()  # the rest is random


def test_classic_is_the_network_of_the_tutorial():
    model = CNN(CNNConfig(channels=3, size=32, classes=10, network="classic"))
    assert sum(p.numel() for p in model.parameters()) == 122_570  # as Keras' summary of it counts
    images = torch.rand(2, 3, 32, 32)
    x = images
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    for convolution, pooled in zip(convolutions, (True, True, False), strict=True):
        x = F.conv2d(x, convolution.weight, convolution.bias).relu()
        x = F.max_pool2d(x, 2) if pooled else x
    dense, head = (m for m in model.modules() if isinstance(m, nn.Linear))
    features = dense(x.flatten(1)).relu()
    torch.testing.assert_close(model.features(images), features)
    torch.testing.assert_close(model.classify(images), head(features))


@pytest.mark.parametrize("preset", CNN.presets)
@pytest.mark.parametrize(("channels", "size", "classes"), [(1, 28, 10), (3, 32, 10), (3, 64, 7)])
def test_every_preset_takes_digits_and_photographs(preset, channels, size, classes):
    own = {name: value for name, value in CNN.presets[preset].items() if name in CNNConfig.__dataclass_fields__}
    model = CNN(changed(CNNConfig(channels=channels, size=size, classes=classes), own)).eval()
    images = torch.rand(3, channels, size, size)
    features, logits = model.features(images), model.classify(images)
    assert logits.shape == (3, classes)
    assert 64 <= features.shape[1] <= 160 and len(features) == 3
    assert features.dtype == logits.dtype == torch.float32


def test_features_and_logits_are_float32_under_autocast():
    model = network().eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert model.features(bars(2).images).dtype == model.classify(bars(2).images).dtype == torch.float32


@pytest.mark.parametrize("values", [{}, {"mirror": True}, {"network": "classic", "size": 18}], ids=str)
def test_in_evaluation_a_picture_is_seen_alone(values):
    model = trained(network(**values), bars(16, size=values.get("size", 12)), steps=3)
    images = bars(6, size=values.get("size", 12)).images
    together = model.classify(images), model.features(images)
    alone = [torch.cat([f(image[None]) for image in images]) for f in (model.classify, model.features)]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_mirrored_pictures_are_classified_alike_only_if_asked():
    images = bars(4).images
    for mirror in (True, False):
        model = trained(network(mirror=mirror), bars(16), steps=3)
        alike = torch.allclose(model.classify(images), model.classify(images.flip(3)), atol=1e-5)
        assert alike is mirror


def test_mirror_takes_the_mean_of_six_views():
    model = trained(network(mirror=True), bars(16), steps=3)
    images = bars(4).images
    up = torch.cat([images[:, :, 1:], images[:, :, -2:-1]], 2)  # reflected at the border
    down = torch.cat([images[:, :, 1:2], images[:, :, :-1]], 2)
    wanted = torch.zeros(())
    for view, weight in ((images, 1 / 2), (up, 1 / 4), (down, 1 / 4)):
        for one in (view, view.flip(3)):
            wanted = wanted + weight / 2 * model.head(model.features(one))
    torch.testing.assert_close(model.classify(images), wanted)


def test_loss_is_the_cross_entropy_with_the_smoothed_labels():
    model, batch = network(smoothing=0.3).eval(), bars(8)
    (update,) = model.updates(batch)
    p = softmax(model.classify(batch.images).detach().double().numpy(), axis=1)
    wanted = 0.7 * np.eye(4)[batch.labels] + 0.3 / 4
    assert update.loss.item() == pytest.approx(-(wanted * np.log(p)).sum(1).mean(), rel=1e-5)
    assert float(update.metrics["accuracy"]) == pytest.approx((p.argmax(1) == batch.labels.numpy()).mean())


def test_probabilities_undo_the_smoothing():
    model = network(smoothing=0.2)
    true = torch.tensor([[0.5, 0.3, 0.2, 0.0], [1.0, 0.0, 0.0, 0.0]])
    learned = 0.8 * true + 0.2 / 4  # the probabilities that make the expected loss least
    model.classify = lambda images: learned.log() + 3
    torch.testing.assert_close(model.probabilities(torch.empty(0)), true)


def test_without_smoothing_probabilities_are_the_softmax():
    model, images = network(smoothing=0.0).eval(), bars(4).images
    torch.testing.assert_close(model.probabilities(images), model.classify(images).softmax(1))


@pytest.mark.parametrize("values", [{}, {"network": "classic", "size": 18}], ids=str)
def test_it_learns_what_tells_the_classes_apart(values):
    size = values.get("size", 12)
    model = trained(network(**values), bars(64, size=size))
    unseen = bars(128, size=size)
    fresh = Batch(unseen.images[64:], unseen.labels[64:])
    assert (model.classify(fresh.images).argmax(1) == fresh.labels).float().mean() > 0.95


def test_one_group_holds_every_parameter_and_each_gets_a_gradient():
    model = network().train()
    (update,) = model.updates(bars(8))
    update.loss.backward()
    parameters = model.groups()[update.group]
    assert {id(p) for p in parameters} == {id(p) for p in model.parameters()}
    assert all(p.grad is not None and p.grad.any() for p in parameters)


def test_the_state_dict_is_all_there_is():
    model = trained(network(), bars(16), steps=3)
    again = network().eval()
    again.load_state_dict(model.state_dict())
    images = bars(4).images
    torch.testing.assert_close(again.classify(images), model.classify(images), rtol=0, atol=0)


WRONG = [
    ({"network": "airbensch"}, SettingsError, "did you mean airbench"),
    ({"classes": 0}, ModelError, "classes"),
    ({"network": "classic", "size": 17}, SettingsError, "18 pixels"),
    ({"size": 4}, SettingsError, "at least 5 pixels"),
    ({"widths": ()}, SettingsError, "widths"),
    ({"widths": (8, 0)}, SettingsError, "widths"),
    ({"patch": 0}, SettingsError, "patch"),
    ({"smoothing": 1.0}, SettingsError, "smoothing"),
]


@pytest.mark.parametrize(("values", "kind", "says"), WRONG, ids=str)
def test_settings_that_make_no_sense_are_refused(values, kind, says):
    with pytest.raises(kind, match=says):
        network(**values)


@pytest.mark.parametrize(("patch", "depth"), list(itertools.product((1, 2, 3), (1, 2))))
def test_the_smallest_size_works(patch, depth):
    model = network(size=patch - 1 + 2**depth, patch=patch, widths=(8,) * depth).eval()
    assert model.classify(torch.rand(2, 1, model.config.size, model.config.size)).isfinite().all()


@pytest.mark.parametrize(("patch", "depth"), [(1, 2), (2, 3), (3, 3)])
def test_the_smallest_size_is_the_smallest_that_the_network_takes(patch, depth):
    model = network(size=28, patch=patch, widths=(8,) * depth).eval()

    def takes(side):
        try:
            model.features(torch.rand(2, 1, side, side))
        except RuntimeError:
            return False
        return True

    assert model.config.smallest_size == min(side for side in range(2, 29) if takes(side))


@pytest.mark.parametrize(("mirrored", "augment"), [(True, "flip+crop2"), (False, "crop2")])
def test_only_what_is_known_to_look_the_same_in_a_mirror_is_mirrored(mirrored, augment):
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    data = Stored("hands", images, torch.arange(4) % 2, ("left", "right"), mirrored=mirrored)
    config, training = configure(CNN, data)
    assert (config.mirror, training.augment) == (mirrored, augment)
    config, training = configure(CNN, data, values={"augment": "flip", "mirror": "true"})  # asked for
    assert (config.mirror, training.augment) == (True, "flip")
