"""Networks by name: the right file, the right network, and one clear line otherwise."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from impasto import weights
from impasto.errors import SettingsError, WeightsError
from impasto.perception.compact import Compact
from impasto.perception.registry import load
from impasto.perception.vgg import VGG16, VGG19

bundled = pytest.mark.skipif(
    not weights.where("compact").is_file(), reason="the weights of the compact network are not made yet"
)


@pytest.fixture
def compact_file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    half = {name: tensor.half().contiguous() for name, tensor in Compact().state_dict().items()}
    save_file(half, tmp_path / "compact.safetensors")
    return tmp_path / "compact.safetensors"


@pytest.fixture
def vgg_file(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "vgg.h5", "w") as file:
        file["block1_conv1/block1_conv1_W_1:0"] = np.full((3, 3, 3, 2), 0.01, np.float32)
        file["block1_conv1/block1_conv1_b_1:0"] = np.zeros(2, np.float32)
    return tmp_path / "vgg.h5"


def test_a_float16_file_becomes_a_frozen_float32_network(compact_file: Path) -> None:
    network = load("compact", compact_file)
    assert isinstance(network, Compact)
    assert not network.training
    assert all(p.dtype == torch.float32 and not p.requires_grad for p in network.parameters())
    torch.manual_seed(0)
    for name, tensor in Compact().state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor.half().float())


def test_vgg19_is_read_with_its_pooling_and_padding(vgg_file: Path) -> None:
    network = load("vgg19", vgg_file, padding="circular", pooling="average")
    assert isinstance(network, VGG19)
    assert network.layers == ("block1_conv1",)
    assert network.padding == "circular"
    assert network.pool is torch.nn.functional.avg_pool2d
    assert not network.training


def test_without_a_file_the_one_of_the_registry_is_read(
    vgg_file: Path, compact_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "path", {"vgg16": vgg_file, "vgg19": vgg_file, "compact": compact_file}.__getitem__)
    assert isinstance(load("vgg16"), VGG16)
    assert isinstance(load("vgg19"), VGG19)
    assert isinstance(load("compact"), Compact)


@bundled
def test_the_bundled_network_sees_edges_and_fits_in_three_megabytes() -> None:
    assert weights.path("compact").stat().st_size <= 3_000_000
    image = torch.zeros(1, 3, 32, 32)
    image[..., 16:] = 1
    network = load("compact")
    for feature in network(image, network.layers).values():
        assert bool(feature.isfinite().all())
        assert feature.std() > 0


def test_an_unknown_network_is_refused_with_those_that_exist() -> None:
    with pytest.raises(SettingsError, match=r"compact, vgg16, vgg19.*'alexnet'"):
        load("alexnet")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("compact", {"padding": "zeros"}),
        ("compact", {"pooling": "average"}),
        ("vgg19", {"padding": "mirror"}),
        ("vgg19", {"pooling": "median"}),
        ("vgg16", {"padding": "mirror"}),
    ],
)
def test_a_setting_that_the_network_does_not_have_is_refused(name: str, options: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=name):
        load(name, Path("never-read"), **options)


def break_file(file: Path, how: str) -> None:
    whole = file.read_bytes()
    if how == "empty":
        file.write_bytes(b"")
    elif how == "truncated":
        file.write_bytes(whole[: len(whole) // 2])
    elif how == "a header of a petabyte":
        file.write_bytes((10**15).to_bytes(8, "little") + whole[8:])
    elif how == "a page":
        file.write_text("<html>not found</html>")
    elif how == "a pickle":
        torch.save({"weight": torch.ones(1)}, file)
    elif how == "another network":
        save_file({"conv.weight": torch.ones(3)}, file)
    elif how == "other shapes":
        save_file({name: torch.ones(2, 2) for name in Compact().state_dict()}, file)
    elif how == "a folder":
        file.unlink()
        file.mkdir()
    elif how == "missing":
        file.unlink()


@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "truncated",
        "a header of a petabyte",
        "a page",
        "a pickle",
        "another network",
        "other shapes",
        "a folder",
        "missing",
    ],
)
def test_a_broken_compact_file_is_refused_in_one_line(compact_file: Path, how: str) -> None:
    break_file(compact_file, how)
    with pytest.raises(WeightsError, match="compact network") as error:
        load("compact", compact_file)
    assert str(compact_file) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.skipif("IMPASTO_TEST_DATA" not in os.environ, reason="IMPASTO_TEST_DATA names no folder of real weights")
def test_the_real_vgg19_answers_a_black_white_edge_strongest_at_the_edge() -> None:
    """Real weights, blocks 1 to 3: a check on the reader that no drawn file can give."""
    file = next(Path(os.environ["IMPASTO_TEST_DATA"]).rglob("vgg19_block*_notop.h5"))
    network = load("vgg19", file)
    image = torch.zeros(1, 3, 64, 64)
    image[..., 32:] = 1
    feature = network(image, ["block1_conv2"])["block1_conv2"]
    variation = feature.diff(dim=3).abs().mean((0, 1, 2))
    assert 30 <= int(variation.argmax()) <= 33
    with pytest.raises(WeightsError, match="block3_conv4"):
        network(image, ["block5_conv1"])
