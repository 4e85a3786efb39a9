"""Spots of the styles: looked up as they lie there, moved on with things, compared with what is looked for."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.style.cloud import GRID, PIXELS, Cloud, Points, averages_of, collected, features_of, places, union
from impasto.style.strokes import COLUMNS, likeness, moved_on, sheets_of, shown_at, shown_by, spots_of

HEIGHT, WIDTH = 5, 7  # places


def features(seed: int = 0) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    sizes = {"pixels": (3, 8), "1/block1_conv1": (2, 4), "1/block2_conv1": (4, 2), "1/block3_conv1": (5, 1)}
    return {n: torch.randn(1, c, HEIGHT * k, WIDTH * k, generator=draw) for n, (c, k) in sizes.items()}


def points_of(f: dict[str, Tensor]) -> Points:
    return collected(places(HEIGHT * GRID, WIDTH * GRID), [(torch.arange(HEIGHT * WIDTH), f)])


def matched() -> Tensor:
    """Of 3 x 6 places the left half shows one part of the style, the right half another that reaches its border."""
    down, across = torch.meshgrid(torch.arange(3), torch.arange(6), indexing="ij")
    return torch.where(across < 3, (down + 1) * WIDTH + across, (down + 2) * WIDTH + across + 1)


def test_spots_show_what_points_say() -> None:
    f = features()
    cloud = Cloud(points_of(f))
    votes = cloud.votes(matched())[0].flatten(1).T
    wanted = features_of(cloud.meant(votes), cloud.points.channels, 3, 6)
    wanted |= features_of(cloud.pixels(votes), {PIXELS: 3}, 3, 6)
    found = shown_at(spots_of(matched(), cloud.points), sheets_of([f]))
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=1e-5, rtol=1e-5)


def test_a_place_shows_what_most_of_those_around_are_for() -> None:
    spots = torch.zeros(1, 3, 3, 3)
    spots[0, 1:] = 16 + GRID * torch.stack(torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij"))
    spots[0, 1, 0] += 30  # the row above shows something else, which goes on from place to place
    spots[0, 2, 1, 2] += 0.7  # within a pixel: the same
    spots[0, 1:, 2, 0] = 0  # and what would lie beyond the style's border says nothing
    spots[0, 2, 2, 2] += 9  # one alone
    sheet = sheets_of([{"1/block3_conv1": torch.zeros(1, 1, 9, 9)}])[8]
    shown, agreed = shown_by(spots, sheet)
    number, down, across = shown[:, :, 1, 1].T
    assert number.tolist() == [0, 0, 0] and agreed[:, :, 1, 1].int().tolist() == [
        [0, 0, 0, 1, 1, 1, 0, 1, 0],
        [1, 1, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 1],
    ]
    assert (down.tolist(), across.tolist()) == ([24, 54, 24], [24, 24, 33])


def test_what_has_left_the_style_shows_its_border() -> None:
    """Nothing is no choice: it would be a black square."""
    spots = torch.tensor([0.0, 24, -6]).view(1, 3, 1, 1)
    style = {"pixels": torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))}
    shown = shown_at(spots, sheets_of([style]))["pixels"]
    wanted = torch.cat([style["pixels"][..., 24:32, :1].expand(-1, -1, -1, 6), style["pixels"][..., 24:32, :2]], 3)
    torch.testing.assert_close(shown, wanted, atol=1e-5, rtol=0)


def test_spots_know_their_style() -> None:
    one, two = features(0), features(1)
    both = union([points_of(one), points_of(two)], (0.5, 0.5))
    middle = 2 * WIDTH + 3
    asked = torch.tensor([[middle, HEIGHT * WIDTH + middle]])
    found = shown_at(spots_of(asked, both), sheets_of([one, two]))["1/block3_conv1"]
    ahead, behind = one["1/block3_conv1"][0, :, 2, 3:5], two["1/block3_conv1"][0, :, 2, 2:4]
    torch.testing.assert_close(found[0, :, 0], (ahead + behind) / 2)
    second = union([points_of(one), points_of(two)], (0.0, 1.0))  # nothing of the first, and it keeps its number
    assert second.spots[:, 0].unique().tolist() == [1]


def painting_itself() -> tuple[dict[str, Tensor], Tensor]:
    """A style, and the spots of a frame that shows it as it is."""
    style = {"pixels": torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))}
    return style, spots_of(torch.arange(96).view(8, 12), collected(places(64, 96), [(torch.arange(96), style)]))


def test_a_shifted_frame_shows_the_shifted_painting() -> None:
    """Of a frame that shows the painting itself, moved by some pixels: exactly the painting moved."""
    style, spots = painting_itself()
    torch.testing.assert_close(shown_at(spots, sheets_of([style]))["pixels"], style["pixels"], atol=1e-5, rtol=0)
    for _ in range(3):  # things go right by 5 and down by 3 in each of three frames: back is where they were
        spots = moved_on(spots, torch.tensor([-5.0, -3.0]).view(1, 2, 1, 1).expand(1, 2, 64, 96))
    shown = shown_at(spots, sheets_of([style]))["pixels"]
    torch.testing.assert_close(shown[..., 9 + 8 :, 15 + 8 :], style["pixels"][..., 8:-9, 8:-15], atol=1e-5, rtol=0)


def test_ten_half_steps_are_five_whole_ones() -> None:
    style, spots = painting_itself()
    for _ in range(10):
        spots = moved_on(spots, torch.tensor([-0.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, 64, 96))
    shown = shown_at(spots, sheets_of([style]))["pixels"]
    torch.testing.assert_close(shown[..., 13:], style["pixels"][..., 8:-5], atol=1e-5, rtol=0)  # nothing has blurred


def test_each_thing_goes_its_own_way() -> None:
    spots = torch.zeros(1, 3, 2, 4)
    spots[0, 1:] = torch.stack(torch.meshgrid(8.0 * torch.arange(2), 8.0 * torch.arange(4), indexing="ij"))
    back = torch.zeros(1, 2, 16, 30)  # of a frame that ends within the last place
    back[:, 0, :, 16:] = -8  # the right half comes from the left, by a place
    found = moved_on(spots, back)[0]
    assert found[2].tolist() == [[0, 8, 8, 16]] * 2 and found[1].tolist() == [[0] * 4, [8] * 4]
    assert (found[0] == 0).all()


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_likeness_is_the_cosine_of_what_is_shown_and_what_is_looked_for(noise: float) -> None:
    f = features()
    cloud = Cloud(points_of(f))
    columns = cloud.columns({n: a[0].flatten(1).T for n, a in averages_of(f).items()}) - cloud.centre
    said_by_all = cloud.votes(matched())[0].flatten(1).T
    mean = torch.stack([columns[said[said >= 0]].mean(0) for said in said_by_all])
    queries = mean + noise * torch.randn(mean.shape, generator=torch.Generator().manual_seed(2))
    wanted = F.cosine_similarity(mean, queries, dim=1)
    maps = columns.T.view(1, -1, HEIGHT, WIDTH)
    found = likeness(spots_of(matched(), cloud.points), queries.T.view(1, -1, 3, 6), sheets_of([{COLUMNS: maps}]))
    torch.testing.assert_close(found.flatten(), wanted, atol=1e-5, rtol=1e-5)
    assert COLUMNS not in f
