"""Tiles cover a picture exactly, and with their halo a network sees in them what it sees in the whole."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from impasto.perception.compact import TAPS, Compact
from impasto.perception.vgg import VGG19
from impasto.style.tiles import ALIGNMENT, REACH, block, cut, stride

SIZES = [(16, 16), (97, 131), (160, 160), (203, 150), (50, 1000), (333, 47)]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("side", [48, 64, 100, 256])
def test_tiles_cover_every_pixel_exactly_once(height: int, width: int, side: int) -> None:
    covered = torch.zeros(height, width)
    for tile in cut(height, width, side, halo=REACH[3]):
        assert tile.bottom > tile.top and tile.right > tile.left
        covered[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert bool((covered == 1).all())


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("name", ["block1_conv1", "block3_conv4", "block5_conv1"])
def test_tiles_of_a_map_of_features_cover_it_exactly_once(height: int, width: int, name: str) -> None:
    features = torch.zeros(1, 1, height // stride(name), width // stride(name))
    for tile in cut(height, width, 64, REACH[block(name)]):
        tile.of(features, stride(name)).add_(1)
    assert bool((features == 1).all())


def test_tiles_are_about_as_large_as_asked() -> None:
    for tile in cut(1000, 1300, 128, halo=REACH[3]):
        assert 96 <= tile.bottom - tile.top <= 160
        assert 96 <= tile.right - tile.left <= 160


def test_a_picture_not_much_larger_than_a_tile_is_one_tile() -> None:
    assert len(list(cut(300, 380, 256, halo=REACH[3]))) == 1
    assert len(list(cut(300, 390, 256, halo=REACH[3]))) == 2


def test_tiles_and_their_halos_start_where_every_pooling_grid_has_a_cell() -> None:
    for deepest in (1, 2, 3, 4, 5):
        for tile in cut(700, 900, 150, REACH[deepest]):
            assert tile.top % ALIGNMENT == tile.left % ALIGNMENT == 0
            assert tile.outer_top % 2 ** (deepest - 1) == tile.outer_left % 2 ** (deepest - 1) == 0


def test_a_halo_ends_where_the_picture_ends() -> None:
    first, *_, last = cut(200, 300, 64, halo=REACH[3])
    assert (first.outer_top, first.outer_left) == (0, 0)
    assert (last.bottom, last.right, last.outer_bottom, last.outer_right) == (200, 300, 200, 300)


def test_a_layer_knows_its_block_and_its_stride() -> None:
    assert [block(f"block{n}_conv2") for n in (1, 2, 3, 4, 5)] == [1, 2, 3, 4, 5]
    assert [stride(f"block{n}_conv2") for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, 16]


def all_positive(network: nn.Module) -> nn.Module:
    """No ReLU cuts a path and nothing cancels, so a gradient is not zero exactly where a pixel has influence."""
    for parameter in network.parameters():
        parameter.data.fill_(1 / parameter[0].numel() if parameter.ndim > 1 else 0.01)
    return network


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        *(("compact", layer) for layer in TAPS),
        *(("vgg19", max(name for name in VGG19.all_layers() if block(name) == n)) for n in (1, 2, 3, 4, 5)),
    ],
)
def test_no_pixel_beyond_the_halo_reaches_a_tile(kind: str, layer: str, narrow_vgg19: Path) -> None:
    network = all_positive(Compact() if kind == "compact" else VGG19(narrow_vgg19, "average", "replicate"))
    deepest = block(layer)
    side = {1: 16, 2: 32, 3: 48, 4: 80, 5: 160}[deepest]
    middle = list(cut(3 * side, 3 * side, side, REACH[deepest]))[4]
    picture = torch.ones(1, 3, 3 * side, 3 * side, requires_grad=True)
    middle.of(network(picture, [layer])[layer], stride(layer)).sum().backward()
    assert picture.grad is not None
    influence = picture.grad.abs().sum((0, 1))
    rows, columns = influence.sum(1).nonzero().flatten(), influence.sum(0).nonzero().flatten()
    assert rows[0] < middle.top and rows[-1] >= middle.bottom  # the test sees influence at all
    assert middle.outer_top <= rows[0] and rows[-1] < middle.outer_bottom
    assert middle.outer_left <= columns[0] and columns[-1] < middle.outer_right


@pytest.mark.parametrize(("kind", "padding"), [("compact", "replicate"), ("vgg19", "replicate"), ("vgg19", "zeros")])
def test_features_of_tiles_are_those_of_the_whole(kind: str, padding: str, narrow_vgg19: Path) -> None:
    torch.manual_seed(0)
    network = Compact(padding) if kind == "compact" else VGG19(narrow_vgg19, "max", padding)
    layers = list(TAPS) if kind == "compact" else ["block1_conv2", "block3_conv1", "block4_conv2", "block5_conv2"]
    picture = torch.rand(1, 3, 181, 235)
    with torch.no_grad():
        whole = network(picture, layers)
        for tile in cut(181, 235, 64, REACH[max(map(block, layers))]):
            for name, f in network(tile.outer(picture), layers).items():
                seen, wanted = tile.inner(f, stride(name)), tile.of(whole[name], stride(name))
                assert difference(seen, wanted) < 1e-5


def difference(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return ((found - wanted).norm() / wanted.norm()).item()
