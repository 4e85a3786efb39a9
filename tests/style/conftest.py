"""Real pictures, small: photographs that come with scikit-image, a painting that comes with Impasto."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

from impasto.bundled import ASSETS
from impasto.media.picture import Picture, fit, read
from impasto.perception.vgg import VGG, VGG16, VGG19, WIDTHS


@pytest.fixture
def photo() -> Callable[[int], Tensor]:
    """A photograph [1, 3, H, W], 3:2, of the long side asked for."""
    pixels = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[None].float() / 255
    return lambda side: fit(pixels, side)


@pytest.fixture
def painting() -> Callable[[int], Tensor]:
    """A painting [1, 3, H, W] of the long side asked for."""
    pixels = read(ASSETS / "styles" / "wave.jpg").pixels
    return lambda side: fit(pixels, side)


@pytest.fixture
def content(photo: Callable[[int], Tensor]) -> Picture:
    return Picture(photo(96))


@pytest.fixture
def style(painting: Callable[[int], Tensor]) -> Picture:
    return Picture(painting(96))


@pytest.fixture(scope="session")
def narrow_vgg19(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight file of VGG-19 with all its layers but few channels, which computes in no time."""
    return _narrow(VGG19, tmp_path_factory.mktemp("weights") / "narrow19.h5")


@pytest.fixture(scope="session")
def narrow_vgg16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _narrow(VGG16, tmp_path_factory.mktemp("weights") / "narrow16.h5")


def _narrow(network: type[VGG], path: Path) -> Path:
    rng, channels = np.random.default_rng(0), 3
    with h5py.File(path, "w") as file:
        for block, (count, width) in enumerate(zip(network.counts, WIDTHS, strict=True), 1):
            for i in range(1, count + 1):
                name, out = f"block{block}_conv{i}", width // 32
                kernel = rng.normal(0, (2 / (9 * channels)) ** 0.5, (3, 3, channels, out))
                file[f"{name}/{name}_W_1:0"] = kernel.astype(np.float32)
                file[f"{name}/{name}_b_1:0"] = rng.uniform(0, 5, out).astype(np.float32)
                channels = out
    return path
