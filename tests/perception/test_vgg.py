"""VGG-16 and VGG-19 against NumPy and SciPy, on weight files of both layouts with few channels."""

import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.signal import correlate

from impasto.errors import WeightsError
from impasto.perception.vgg import VGG, VGG16, VGG19

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


@pytest.mark.parametrize(("kind", "count"), [(VGG16, 14_714_688), (VGG19, 20_024_384)])  # Keras' counts, without top
def test_random_weights_have_the_full_shape(kind: type[VGG], count: int) -> None:
    network = kind(None)
    assert network.layers == kind.all_layers()
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    features = network(torch.rand(1, 3, 32, 32), ["block5_conv1"])
    assert features["block5_conv1"].shape == (1, 512, 2, 2)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=re.escape(str(tmp_path / "none.h5"))):
        VGG19(tmp_path / "none.h5")


TORCHVISION = {  # where torchvision's `features` have their convolutions
    VGG16: (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    VGG19: (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}


def torchvision_state(kind: type[VGG]) -> dict[str, torch.Tensor]:
    """A narrow state dict in float16: torchvision's keys and, with the classifier's, what no reader wants."""
    generator, state, channels = torch.Generator().manual_seed(0), {"classifier.0.weight": torch.zeros(2, 2)}, 3
    for n, index in enumerate(TORCHVISION[kind]):
        kernel = torch.randn(3 + n, channels, 3, 3, generator=generator) * (2 / (9 * channels)) ** 0.5
        state[f"features.{index}.weight"] = kernel.half()
        state[f"features.{index}.bias"] = (0.1 * torch.randn(3 + n, generator=generator)).half()
        channels = 3 + n
    return state


def write_torchvision_file(path: Path, state: dict[str, torch.Tensor]) -> Path:
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


@pytest.mark.parametrize("kind", [VGG16, VGG19])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_torchvision_file_gives_the_features_of_the_same_network_in_keras_layout(
    tmp_path: Path, kind: type[VGG], suffix: str
) -> None:
    """(rgb - m) / s . W + b = (255 rgb - M) . W / 255s + (M / 255 - m) / s . W + b, exact where nothing pads with 0.

    Pixels of torchvision are 57.6 times smaller than Caffe's; so large are the features made.
    """
    state = torchvision_state(kind)
    m, s = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    caffe = np.array([123.68, 116.779, 103.939])
    with h5py.File(tmp_path / "same.h5", "w") as file:
        for layer, index in zip(kind.all_layers(), TORCHVISION[kind], strict=True):
            kernel = state[f"features.{index}.weight"].double().numpy()  # OIHW
            bias = state[f"features.{index}.bias"].double().numpy()
            if index == 0:
                bias = bias + np.einsum("oihw,i->o", kernel, (caffe / 255 - m) / s)
                kernel = (kernel / (255 * s)[:, None, None])[:, ::-1]  # BGR
            file[f"{layer}/{layer}_W_1:0"] = kernel.transpose(2, 3, 1, 0).astype(np.float32)
            file[f"{layer}/{layer}_b_1:0"] = bias.astype(np.float32)
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(1))
    file = write_torchvision_file(tmp_path / f"vgg{suffix}", state)
    expected = kind(tmp_path / "same.h5", padding="replicate")(image, kind.all_layers())
    found = kind(file, padding="replicate")(image, kind.all_layers())
    assert tuple(found) == kind.all_layers()
    for layer, feature in found.items():
        torch.testing.assert_close(feature, 57.63 * expected[layer], rtol=1e-3, atol=2e-2)
        assert feature.std() > 0


def test_the_mean_colour_of_torchvision_maps_to_zero(tmp_path: Path) -> None:
    state = torchvision_state(VGG16)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    network = VGG16(write_torchvision_file(tmp_path / "vgg.pth", state))
    expected = 57.63 * state["features.0.bias"].float().relu().view(1, -1, 1, 1).expand(1, 3, 8, 8)
    torch.testing.assert_close(network(mean, ["block1_conv1"])["block1_conv1"], expected, atol=1e-3, rtol=0)


def test_a_torchvision_file_may_stop_early(tmp_path: Path) -> None:
    state = {k: v for k, v in torchvision_state(VGG16).items() if int(k.split(".")[1]) < 10}
    assert VGG16(write_torchvision_file(tmp_path / "vgg.safetensors", state)).layers == BLOCKS_1_AND_2


@pytest.mark.parametrize("suffix", [".safetensors", ".h5"])
@pytest.mark.parametrize(("kind", "other"), [(VGG16, VGG19), (VGG19, VGG16)])
def test_weights_of_the_other_network_are_refused(
    tmp_path: Path, suffix: str, kind: type[VGG], other: type[VGG]
) -> None:
    if suffix == ".h5":
        layers = other.all_layers()
        file = write_keras_file(tmp_path / "other.h5", layers, range(3, 3 + len(layers)))
    else:
        file = write_torchvision_file(tmp_path / "other.safetensors", torchvision_state(other))
    with pytest.raises(WeightsError, match=f"other.* is not of {kind.title}"):
        kind(file)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.pth", b"PK\x03\x04"),
        ("page.pth", b"<html>not found</html>"),
        ("page.safetensors", b"<html>not found</html>"),
        ("empty.pt", b""),
    ],
)
def test_a_broken_torchvision_file_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match="not a readable torchvision VGG-16") as refusal:
        VGG16(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_a_pickle_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="not a readable torchvision VGG-16"):
        VGG16(tmp_path / "list.pth")
    torch.save({"conv.weight": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="holds no VGG-16 layers"):
        VGG16(tmp_path / "other.pth")


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
