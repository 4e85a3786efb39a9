"""Masks: what is inside, and how the picture is shared out."""

import pytest
import torch
from torch import Tensor

from impasto.errors import ImpastoWarning, SettingsError
from impasto.media.picture import Picture
from impasto.style import regions


def left_half(height: int = 8, width: int = 12) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width // 2] = 1
    return mask


def test_white_is_inside_and_black_is_outside() -> None:
    torch.testing.assert_close(regions.mask(Picture(left_half().expand(1, 3, 8, 12)), 8, 12), left_half())


def test_transparent_is_outside() -> None:
    white = Picture(torch.ones(1, 3, 8, 12), alpha=left_half())
    torch.testing.assert_close(regions.mask(white, 8, 12), left_half())


def test_grey_is_half_inside() -> None:
    pixels = torch.tensor([0.2, 0.5, 0.8]).view(1, 3, 1, 1).expand(1, 3, 8, 12)
    torch.testing.assert_close(regions.mask(Picture(pixels), 8, 12), torch.full((1, 1, 8, 12), 0.5))


def test_a_mask_takes_the_size_of_the_picture() -> None:
    mask = regions.mask(Picture(left_half(40, 60).expand(1, 3, 40, 60)), 8, 12)
    assert mask.shape == (1, 1, 8, 12)
    assert mask.min() >= 0 and mask.max() <= 1
    assert mask.mean().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("size", [(7, 11), (40, 61), (93, 128)])
def test_what_is_wholly_white_stays_wholly_white_at_any_size(size: tuple[int, int]) -> None:
    """Or a protected picture would not keep its last bit."""
    assert bool((regions.mask(Picture(torch.ones(1, 3, 30, 50)), *size) == 1).all())


def test_masks_that_do_not_overlap_stay_as_they_are() -> None:
    shared = regions.shared_out([left_half(), 1 - left_half()], None)
    assert torch.equal(shared[0], left_half()) and torch.equal(shared[1], 1 - left_half())


def test_where_masks_overlap_they_share() -> None:
    whole, half = regions.shared_out([torch.ones(1, 1, 8, 12), left_half()], None)
    torch.testing.assert_close(whole, 1 - 0.5 * left_half())
    torch.testing.assert_close(half, 0.5 * left_half())


def test_what_is_protected_is_in_no_region() -> None:
    (shared,) = regions.shared_out([torch.ones(1, 1, 8, 12)], left_half())
    assert torch.equal(shared, 1 - left_half())


def test_shares_never_sum_to_more_than_one() -> None:
    masks = [torch.rand(1, 1, 8, 12) for _ in range(4)]
    assert bool((sum(regions.shared_out(masks, torch.rand(1, 1, 8, 12))) <= 1 + 1e-6).all())


@pytest.mark.parametrize(
    ("masks", "protect", "number"),
    [
        ([torch.zeros(1, 1, 8, 12)], None, 1),
        ([left_half(), torch.zeros(1, 1, 8, 12)], None, 2),
        ([left_half()], left_half(), 1),
    ],
)
def test_a_style_with_nowhere_to_go_is_refused(masks: list[Tensor], protect: Tensor | None, number: int) -> None:
    with pytest.raises(SettingsError, match=rf"^mask {number} is .*white marks the inside$"):
        regions.shared_out(masks, protect)


def test_a_mask_of_zeros_and_ones_is_warned_of() -> None:
    half = torch.zeros(1, 3, 16, 16)
    half[..., 8:] = 1 / 255  # as numpy's booleans are saved
    with pytest.warns(ImpastoWarning, match="255"):
        regions.mask(Picture(half), 16, 16)


def test_a_mask_beside_what_can_be_seen_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^mask 1 is \(nearly\) empty where the content can be seen: "):
        regions.shared_out([left_half()], None, 1 - left_half())


def test_opaque_pictures_count_everywhere() -> None:
    assert regions.visible(None) is None and regions.visible(torch.ones(1, 1, 8, 12)) is None
    assert regions.visible(left_half()) is not None


def test_the_networks_see_nothing_of_what_is_hidden_and_little_of_what_is_faint() -> None:
    pixels, faint = torch.rand(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    faint[..., 8:], faint[..., 12:] = 1 / 255, 0
    black, white = (torch.where(faint == 1, pixels, torch.tensor(hidden)) for hidden in (0.0, 1.0))
    seen = regions.opaque(black, faint), regions.opaque(white, faint)
    assert torch.equal(seen[0][..., :8], pixels[..., :8])
    assert (seen[0] - seen[1]).abs().max() < 0.03
    hidden = (faint > 0).float()
    assert torch.equal(regions.opaque(black, hidden), regions.opaque(torch.where(hidden == 0, 1.0, black), hidden))
