"""Augmentation, against NumPy's padding and every place a picture can be moved to."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from impasto.data.augment import KINDS, augment, reduced
from impasto.errors import SettingsError

IMAGE = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_a_small_picture_moves_as_far_as_it_can_be_reflected() -> None:
    for size in (1, 2, 4):
        assert augment(torch.rand(5, 1, size, size), "flip+crop", generator()).shape == (5, 1, size, size)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(image: Tensor, by: int, mode: str) -> list[bytes]:
    """The bytes of `image` in every place up to `by` pixels away, its surroundings as `numpy.pad` fills them."""
    size = image.shape[1]
    padded = np.pad(image.numpy(), ((0, 0), (by, by), (by, by)), mode=mode)  # type: ignore[call-overload]
    places = range(2 * by + 1)
    return [padded[:, y : y + size, x : x + size].tobytes() for y in places for x in places]


def times_seen(kind: str, expected: list[bytes], n: int) -> list[int]:
    """How often each of `expected` comes; anything else fails."""
    seen = dict.fromkeys(expected, 0)
    for image in augment(IMAGE.expand(n, -1, -1, -1), kind, generator()):
        seen[image.numpy().tobytes()] += 1
    return list(seen.values())


def even(counts: list[int]) -> bool:
    """Whether a chi-squared test of equal shares stays within five deviations."""
    share = sum(counts) / len(counts)
    freedom = len(counts) - 1
    return sum((c - share) ** 2 / share for c in counts) < freedom + 5 * (2 * freedom) ** 0.5 + 10


def test_flip_mirrors_every_other_picture() -> None:
    counts = times_seen("flip", [IMAGE.numpy().tobytes(), IMAGE.flip(2).numpy().tobytes()], 2000)
    assert len(counts) == 2
    assert even(counts)


@pytest.mark.parametrize(("kind", "by", "places"), [("flip+crop", 4, 162), ("flip+crop2", 2, 50)])
def test_flip_and_crop_moves_over_the_reflection_each_place_as_often(kind: str, by: int, places: int) -> None:
    counts = times_seen(kind, moved(IMAGE, by, "reflect") + moved(IMAGE.flip(2), by, "reflect"), 8000)
    assert len(counts) == places
    assert even(counts)


def test_reduced_is_the_bilinear_reduction_of_pillow() -> None:
    small = reduced(IMAGE[None], least=5)[0]
    for channel, grey in zip(small, IMAGE.numpy(), strict=True):
        wanted = Image.fromarray(grey).resize((12, 12), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(channel, wanted, atol=1e-6)
    assert reduced(IMAGE[None], least=13).shape == (1, 3, 13, 13)


def test_cutout_covers_a_square_about_each_pixel_as_often_with_the_mean_colour() -> None:
    flat = torch.arange(3.0)[:, None, None].expand(3, 16, 16) / 4  # neither mirror nor move changes what does not vary
    for covered in augment(flat.expand(100, -1, -1, -1), "flip+crop+cutout", generator()):
        assert torch.equal(covered, flat)  # it is the mean colour, and of its own channel

    striped = torch.tensor([0.0, 1.0]).repeat(8).expand(1, 16, 16)  # 0.5 is the mean's, and nobody else's
    counts: dict[tuple[int, int, int, int], int] = {}
    for covered in augment(striped.expand(8000, -1, -1, -1), "flip+crop+cutout", generator()):
        rows, columns = (covered[0] != 0).logical_and(covered[0] != 1).nonzero(as_tuple=True)
        box = int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1
        assert len(rows) == (box[1] - box[0]) * (box[3] - box[2])  # all of the square
        counts[box] = counts.get(box, 0) + 1
    spans = [(max(0, at - 3), min(16, at + 3)) for at in range(16)]  # 3/8 of 16 pixels
    assert set(counts) == {(*rows, *columns) for rows in spans for columns in spans}
    assert even(list(counts.values()))


def test_shift_moves_over_black_by_up_to_2_pixels_each_place_as_often() -> None:
    counts = times_seen("shift", moved(IMAGE, 2, "constant"), 2500)
    assert len(counts) == 25
    assert even(counts)


def test_none_changes_nothing() -> None:
    assert torch.equal(augment(IMAGE[None], "none"), IMAGE[None])


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_generator_decides(kind: str) -> None:
    images = torch.rand(64, 1, 8, 8)
    first, same, other = (augment(images, kind, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean flip"):
        augment(IMAGE[None], "flop")
