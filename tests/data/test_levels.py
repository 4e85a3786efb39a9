"""Levels of brightness: unbiased where they are drawn, exact where there are 256."""

import pytest
import torch

from impasto.data.levels import brightness, quantise

BYTES = torch.arange(256, dtype=torch.uint8)


def test_two_levels_are_white_as_often_as_the_pixel_is_bright() -> None:
    n = 20_000
    images = torch.linspace(0, 1, 11).expand(n, 11)
    drawn = quantise(images, 2, torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.int64
    share = drawn.double().mean(0)
    deviation = (images[0] * (1 - images[0]) / n).sqrt()
    assert ((share - images[0]).abs() <= 4 * deviation + 1e-9).all()


def test_two_levels_are_drawn_by_the_generator() -> None:
    images = torch.full((1000,), 0.5)
    first, same, other = (quantise(images, 2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_256_levels_give_back_the_bytes() -> None:
    images = BYTES.float() / 255
    assert torch.equal(quantise(images, 256), BYTES.long())
    assert torch.equal((brightness(quantise(images, 256), 256) * 255).round().byte(), BYTES)


@pytest.mark.parametrize("levels", [4, 8, 16, 128])
def test_fewer_levels_have_equally_many_bytes_each(levels: int) -> None:
    indices = quantise(BYTES.float() / 255, levels)
    assert torch.equal(indices, BYTES.long() >> (8 - levels.bit_length() + 1))
    assert indices.bincount().tolist() == [256 // levels] * levels


@pytest.mark.parametrize("levels", [2, 3, 5, 256])
def test_levels_go_from_black_to_white_and_back(levels: int) -> None:
    every = torch.arange(levels)
    pictures = brightness(every, levels)
    assert (pictures[0].item(), pictures[-1].item()) == (0, 1)
    assert torch.equal(quantise(pictures, levels), every)
