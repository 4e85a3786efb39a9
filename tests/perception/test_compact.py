"""The compact network: its shapes, its reductions and its behaviour at the border. Random weights serve."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from impasto.errors import WeightsError
from impasto.perception.compact import TAPS, Compact, halve


def random_network(padding: str = "replicate") -> Compact:
    torch.manual_seed(0)
    return Compact(padding).requires_grad_(False).eval()


def test_the_taps_have_their_components_at_strides_1_to_8() -> None:
    features = random_network()(torch.rand(2, 3, 32, 48), Compact.layers)
    shapes = [tuple(feature.shape) for feature in features.values()]
    assert shapes == [(2, 24, 32, 48), (2, 48, 16, 24), (2, 96, 8, 12), (2, 128, 8, 12), (2, 128, 4, 6), (2, 128, 4, 6)]
    assert tuple(features) == Compact.layers == tuple(TAPS)


def test_a_tap_does_not_depend_on_the_others_asked_for() -> None:
    network, image = random_network(), torch.rand(1, 3, 16, 16)
    alone = network(image, ["block2_conv1"])
    assert list(alone) == ["block2_conv1"]
    torch.testing.assert_close(alone["block2_conv1"], network(image, Compact.layers)["block2_conv1"])


def test_an_unknown_layer_is_refused_with_those_that_exist() -> None:
    with pytest.raises(WeightsError, match=rf"block5_conv2.*{', '.join(TAPS)}"):
        random_network()(torch.rand(1, 3, 16, 16), ["block5_conv2"])


@pytest.mark.parametrize(("padding", "mode"), [("replicate", "nearest"), ("circular", "wrap")])
def test_halve_is_the_binomial_filter_at_every_second_pixel(padding: str, mode: str) -> None:
    x = np.random.default_rng(0).random((12, 18))
    taps = np.array([1, 3, 3, 1]) / 8
    # SciPy puts the centre of four taps on the third; shifting it by one pixel covers pixels -1 to 2 of each pair.
    filtered = correlate1d(correlate1d(x, taps, 0, mode=mode, origin=-1), taps, 1, mode=mode, origin=-1)
    got = halve(torch.from_numpy(x)[None, None].float(), padding)
    np.testing.assert_allclose(got[0, 0].numpy(), filtered[::2, ::2], atol=1e-6)


def test_halve_keeps_a_constant_and_removes_a_checkerboard() -> None:
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    checkerboard = ((rows + columns) % 2).float()[None, None]
    torch.testing.assert_close(halve(torch.full((1, 2, 16, 16), 0.7)), torch.full((1, 2, 8, 8), 0.7))
    torch.testing.assert_close(halve(checkerboard, "circular"), torch.full((1, 1, 8, 8), 0.5))


def test_with_circular_padding_a_rolled_picture_has_rolled_features() -> None:
    network, image = random_network("circular"), torch.rand(1, 3, 32, 32)
    rolled = network(image.roll((8, 16), (2, 3)), Compact.layers)
    for (layer, feature), stride in zip(network(image, Compact.layers).items(), (1, 2, 4, 4, 8, 8), strict=True):
        expected = feature.roll((8 // stride, 16 // stride), (2, 3))
        torch.testing.assert_close(rolled[layer], expected, atol=1e-5, rtol=1e-4)


def test_with_replicate_padding_a_flat_picture_has_flat_features() -> None:
    """No border shows in the statistics."""
    for feature in random_network()(torch.full((1, 3, 64, 64), 0.8), Compact.layers).values():
        torch.testing.assert_close(feature, feature[..., 4:5, 4:5].expand_as(feature), atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_pixel() -> None:
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    sum(feature.square().sum() for feature in random_network()(image, Compact.layers).values()).backward()
    assert image.grad is not None
    assert bool((image.grad != 0).all())
