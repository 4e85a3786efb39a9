"""VGG-19 against NumPy and SciPy, on weight files of Keras' layout with few channels."""

import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.signal import correlate

from impasto.errors import WeightsError
from impasto.perception.vgg19 import LAYERS, VGG19

BLOCKS_1_AND_2 = ("block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2")


def write_keras_file(path: Path, layers: Sequence[str] = BLOCKS_1_AND_2, widths: Sequence[int] = (4, 5, 6, 7)) -> Path:
    rng = np.random.default_rng(0)
    channels = 3
    with h5py.File(path, "w") as file:
        for layer, width in zip(layers, widths, strict=True):
            kernel = rng.normal(0, (2 / (9 * channels)) ** 0.5, (3, 3, channels, width)).astype(np.float32)  # HWIO
            file[f"{layer}/{layer}_W_1:0"] = kernel
            file[f"{layer}/{layer}_b_1:0"] = rng.normal(0, 0.1, width).astype(np.float32)
            channels = width
    return path


def reference(path: Path, image: np.ndarray, pooling: str, padding: str) -> dict[str, np.ndarray]:
    """Compute the features of `image` [H, W, 3], RGB in [0, 1], as [H', W', C], without torch."""
    x = image[:, :, ::-1] * 255.0 - np.array([103.939, 116.779, 123.68])
    mode = {"zeros": "constant", "replicate": "edge", "circular": "wrap"}[padding]
    features = {}
    with h5py.File(path) as file:
        for layer in file:
            if layer == "block2_conv1":
                corners = np.stack([x[i::2, j::2] for i in (0, 1) for j in (0, 1)])
                x = corners.max(0) if pooling == "max" else corners.mean(0)
            kernel, bias = file[f"{layer}/{layer}_W_1:0"][()], file[f"{layer}/{layer}_b_1:0"][()]
            padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode=mode)
            x = np.concatenate(
                [correlate(padded, kernel[..., out].astype(float), "valid") for out in range(kernel.shape[-1])], axis=2
            )
            x = np.maximum(x + bias, 0)
            features[layer] = x
    return features


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zeros", "replicate", "circular"])
def test_features_equal_those_computed_without_torch(tmp_path: Path, pooling: str, padding: str) -> None:
    file = write_keras_file(tmp_path / "vgg.h5")
    image = np.random.default_rng(1).random((10, 14, 3))
    expected = reference(file, image, pooling, padding)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    features = VGG19(file, pooling, padding)(tensor, BLOCKS_1_AND_2)
    assert tuple(features) == BLOCKS_1_AND_2
    for layer, feature in features.items():
        got = feature[0].permute(1, 2, 0).numpy()
        assert got.shape == expected[layer].shape
        np.testing.assert_allclose(got, expected[layer], rtol=1e-4, atol=1e-3)  # activations are around 100


def test_the_mean_colour_of_imagenet_maps_to_zero(tmp_path: Path) -> None:
    """BGR and the subtraction of the mean, done once: what is left of the mean picture is the bias."""
    file = write_keras_file(tmp_path / "vgg.h5")
    mean_rgb = torch.tensor([123.68, 116.779, 103.939]) / 255
    features = VGG19(file)(mean_rgb.view(1, 3, 1, 1).expand(1, 3, 8, 8), ["block1_conv1"])["block1_conv1"]
    with h5py.File(file) as keras:
        bias = torch.from_numpy(keras["block1_conv1/block1_conv1_b_1:0"][()])
    torch.testing.assert_close(features, bias.relu().view(1, -1, 1, 1).expand_as(features), atol=1e-4, rtol=0)


def test_a_pool_halves_the_picture(tmp_path: Path) -> None:
    features = VGG19(write_keras_file(tmp_path / "vgg.h5"))(torch.rand(2, 3, 16, 9), BLOCKS_1_AND_2)
    assert [tuple(f.shape) for f in features.values()] == [(2, 4, 16, 9), (2, 5, 16, 9), (2, 6, 8, 4), (2, 7, 8, 4)]


def test_only_the_layers_asked_for_are_returned(tmp_path: Path) -> None:
    features = VGG19(write_keras_file(tmp_path / "vgg.h5"))(torch.rand(1, 3, 8, 8), ["block2_conv1", "block1_conv1"])
    assert set(features) == {"block1_conv1", "block2_conv1"}


def test_a_file_with_the_first_blocks_lists_its_layers(tmp_path: Path) -> None:
    assert VGG19(write_keras_file(tmp_path / "vgg.h5")).layers == BLOCKS_1_AND_2


def test_a_layer_that_the_file_lacks_is_refused_with_those_it_has(tmp_path: Path) -> None:
    network = VGG19(write_keras_file(tmp_path / "vgg.h5"))
    with pytest.raises(WeightsError, match=rf"block5_conv1.*{', '.join(BLOCKS_1_AND_2)}"):
        network(torch.rand(1, 3, 8, 8), ["block1_conv1", "block5_conv1"])


def test_the_weights_do_not_learn_but_the_pixels_do(tmp_path: Path) -> None:
    network = VGG19(write_keras_file(tmp_path / "vgg.h5"))
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    network(image, ["block2_conv2"])["block2_conv2"].sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_random_weights_have_the_full_shape() -> None:
    network = VGG19(None)
    assert network.layers == LAYERS
    assert sum(parameter.numel() for parameter in network.parameters()) == 20_024_384  # Keras' count, without top
    features = network(torch.rand(1, 3, 32, 32), ["block5_conv1"])
    assert features["block5_conv1"].shape == (1, 512, 2, 2)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=re.escape(str(tmp_path / "none.h5"))):
        VGG19(tmp_path / "none.h5")


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    whole = write_keras_file(tmp_path / "whole.h5").read_bytes()
    cut = tmp_path / "cut.h5"
    cut.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with pytest.raises(WeightsError, match=re.escape("cut.h5")):
        VGG19(cut)


def test_a_file_that_is_not_hdf5_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.h5").write_text("<html>not found</html>")
    with pytest.raises(WeightsError, match="not a readable"):
        VGG19(tmp_path / "page.h5")


def test_an_hdf5_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["temperature"] = np.zeros(3)
    with pytest.raises(WeightsError, match="no VGG-19 layers"):
        VGG19(tmp_path / "other.h5")
