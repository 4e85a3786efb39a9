"""Points of a style against loops and brute force; and the gradient of matching, in tiles, against autograd."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.gaussian import rows
from impasto.perception import registry
from impasto.style import cloud as cloud_module
from impasto.style.cloud import (
    AROUND,
    Cloud,
    Points,
    averages_of,
    collected,
    directions,
    features_of,
    on_grid,
    patches_of,
    places,
    queries_of,
    union,
)
from impasto.style.objective import Extractor, Objective, Region

LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block3_conv4", "block4_conv1")
STEPS = {"block1_conv1": 8, "block3_conv1": 2, "block4_conv1": 1}  # features along a side of a place
CHANNELS = {"block1_conv1": 3, "block3_conv1": 2, "block4_conv1": 5}


def sought(own: Tensor, content: Tensor | None, freedom: float) -> Tensor:
    """Queries of hypercolumns, which stay as they are."""
    aims = None if content is None else directions(content.clone())
    return queries_of(directions(own.clone()), aims, freedom)


def features(height: int = 5, width: int = 7, seed: int = 0) -> dict[str, Tensor]:
    """Made-up features of a picture of `height` by `width` places."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(1, CHANNELS[name], height * step, width * step, generator=draw) + 0.3
        for name, step in STEPS.items()
    }


def points_of(features: dict[str, Tensor], visible: Tensor | None = None) -> Points:
    height, width = features["block1_conv1"].shape[2:]
    return collected(places(height, width, visible), [(torch.arange(height * width // 64), features)])


def test_a_place_has_the_features_within_its_square() -> None:
    f = features()
    found = patches_of(f)
    assert found.shape == (35, 3 * 64 + 2 * 4 + 5)
    row, column = 2, 4
    place = found[row * 7 + column]
    wanted = [
        f["block1_conv1"][0, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].flatten(),
        f["block3_conv1"][0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten(),
        f["block4_conv1"][0, :, row, column],
    ]
    assert torch.equal(place, torch.cat(wanted))


def test_a_place_that_reaches_beyond_the_picture_has_its_border_there() -> None:
    f = features()
    cropped = {name: value[..., : value.shape[2] - STEPS[name] + 1, :] for name, value in f.items()}
    last = patches_of(cropped)[-1]
    assert torch.equal(last[: 3 * 64].view(3, 8, 8), f["block1_conv1"][0, :, 32:33, 48:].expand(3, 8, 8))
    assert last[-5:].equal(f["block4_conv1"][0, :, 4, 6])


def test_columns_tell_places_apart_as_their_scaled_means_do(monkeypatch: pytest.MonkeyPatch) -> None:
    f = features()
    wanted = torch.cat(
        [F.avg_pool2d(f[n], step) / (f[n].square().mean() * f[n].shape[1]).sqrt() for n, step in STEPS.items()], 1
    )[0].flatten(1).T.double()  # fmt: skip
    cloud = Cloud(points_of(f))
    torch.testing.assert_close(
        torch.cdist(columns := asked(cloud, f), columns), torch.cdist(wanted, wanted), atol=1e-5, rtol=0
    )
    monkeypatch.setattr(cloud_module, "COMPONENTS", 4)  # of 10
    few = asked(Cloud(points_of(f)), f)
    assert few.shape == (35, 4)
    spread = torch.linalg.svdvals(wanted - wanted.mean(0)).square()
    held = (few - few.mean(0)).square().sum() / spread[:4].sum()  # of what four numbers can hold
    assert 0.7 < held < 1 + 1e-6


def asked(cloud: Cloud, features: dict[str, Tensor]) -> Tensor:
    """The columns [places, d] of a picture's features, float64."""
    return cloud.columns({name: rows(average) for name, average in averages_of(features).items()}).double()


def test_features_come_back_from_their_patches() -> None:
    f = {"pixels": torch.randn(1, 3, 32, 48), "1/block2_conv1": torch.randn(1, 4, 8, 12)}
    f["2/block3_conv1"] = torch.randn(1, 5, 2, 3)  # a feature for 2x2 places
    channels = {name: value.shape[1] for name, value in f.items()}
    patches = patches_of(f)
    assert patches.shape == (24, 3 * 64 + 4 * 4 + 5)
    assert torch.equal(patches[0, -5:], f["2/block3_conv1"][0, :, 0, 0])
    assert torch.equal(patches[0, -5:], patches[7, -5:])
    for name, back in features_of(patches, channels, 4, 6).items():
        assert torch.equal(back, f[name])


def test_neighbours_lie_around_a_point_and_survive_a_drawing() -> None:
    points = points_of(features(40, 40))
    row, column = 7, 11
    for number, (down, across) in enumerate(AROUND):
        assert points.neighbours[row * 40 + column, number] == (row + down) * 40 + column + across
    assert points.neighbours[0].tolist() == [-1, -1, -1, -1, 0, 1, -1, 40, 41]
    drawn, places = points.drawn(300), points.patches
    assert len(drawn.patches) == 300
    for i in range(0, 300, 7):
        here = int((places == drawn.patches[i]).all(1).nonzero()[0])
        for number, index in enumerate(drawn.neighbours[i].tolist()):
            if index >= 0:
                assert torch.equal(drawn.patches[index], places[points.neighbours[here, number]])
    assert (drawn.neighbours >= 0).float().mean() > 0.7  # squares of 8x8: (22 / 24)^2 within one


def nearest(cloud: Cloud, queries: Tensor) -> Tensor:
    """Corrected cosines [places, points], float64."""
    return queries[0].flatten(1).T.double() @ cloud.keys.T.double() - crowd(cloud, queries)


def crowd(cloud: Cloud, queries: Tensor) -> Tensor:
    """What each point loses [points]: half the mean cosine of the ten places nearest to it."""
    return 0.5 * (queries[0].flatten(1).T.double() @ cloud.keys.T.double()).topk(10, 0).values.mean(0)


def test_a_place_gets_the_point_nearest_to_it_alone_or_with_those_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_module, "PASSES", 0)
    cloud = Cloud(points_of(features(6, 5)))
    queries = F.normalize(torch.randn(1, 10, 4, 6, generator=torch.Generator().manual_seed(1)), dim=1)
    alone = nearest(cloud, queries)
    assert torch.equal(cloud.match(queries, quick=True).flatten(), alone.argmax(1))
    points, best = cloud.points.neighbours, []
    for y in range(4):
        for x in range(6):
            total = alone.new_zeros(30)
            for number, (down, across) in enumerate(AROUND):
                within = 0 <= y + down < 4 and 0 <= x + across < 6
                query = queries[0, :, y + down, x + across] if within else queries[0, :, y, x]
                beside = torch.where(points[:, number] >= 0, points[:, number], torch.arange(30))
                total += (cloud.keys[beside] @ query).double() / 9
            best.append(int((total - crowd(cloud, queries)).argmax()))
    assert cloud.match(queries).flatten().tolist() == best


def test_of_many_points_the_nearest_is_found_and_of_equals_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_module, "PASSES", 0)
    made = points_of(features(15, 19))  # 285, no multiple of anything; and once more
    cloud = Cloud(union([made, made]))
    queries = F.normalize(torch.randn(1, 10, 30, 40, generator=torch.Generator().manual_seed(1)), dim=1)
    matched = cloud.match(queries, quick=True).flatten()
    assert (matched < 285).all()
    found, best = nearest(cloud, queries), nearest(cloud, queries).amax(1)
    torch.testing.assert_close(found.gather(1, matched[:, None])[:, 0], best, atol=1e-6, rtol=0)
    assert matched.unique().numel() > 200


def test_a_pass_takes_what_neighbours_say_where_it_is_nearer_with_all_around(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud(points_of(features(6, 5)))
    queries = F.normalize(torch.randn(1, 10, 4, 6, generator=torch.Generator().manual_seed(1)), dim=1)
    found = []
    for passes in (0, 1):
        monkeypatch.setattr(cloud_module, "PASSES", passes)
        found.append(cloud.match(queries))
    lost, votes, points = crowd(cloud, queries), cloud.votes(found[0]), cloud.points.neighbours
    for y in range(4):
        for x in range(6):
            said = [vote for vote in votes[0, :, y, x].tolist() if vote >= 0]

            def score(point: int, y: int = y, x: int = x, said: list[int] = said) -> float:
                total = 0.4 / 9 * said.count(point) - lost[point].item()
                for number, (down, across) in enumerate(AROUND):
                    within = 0 <= y + down < 4 and 0 <= x + across < 6
                    query = queries[0, :, y + down, x + across] if within else queries[0, :, y, x]
                    beside = points[point, number]
                    total += (query @ cloud.keys[beside if beside >= 0 else point]).item() / 9
                return total

            assert score(int(found[1][y, x])) == pytest.approx(max(map(score, said)), abs=1e-5)


def test_a_painting_is_matched_to_itself() -> None:
    points = points_of(features(12, 10))
    cloud = Cloud(points)
    own = asked(cloud, features(12, 10)).float().T.view(1, -1, 12, 10)
    for freedom in (0.0, 0.5, 1.0):
        matched = cloud.match(sought(own, own, freedom))
        assert torch.equal(matched.flatten(), torch.arange(120))
    votes = cloud.votes(matched)[0].flatten(1).T
    torch.testing.assert_close(cloud.meant(votes), points.patches)
    torch.testing.assert_close(
        cloud.distances(points.patches, cloud.targets(votes)), torch.zeros(120), atol=1e-5, rtol=0
    )


def test_what_goes_on_is_taken_where_points_are_about_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    points, f = points_of(features(12, 10)), features(12, 10)
    cloud = Cloud(union([points, points]))  # every point is there twice, and noise alone decides between them
    own = asked(cloud, f).float().T.view(1, -1, 12, 10)
    noise = 0.3 * torch.randn(own.shape, generator=torch.Generator().manual_seed(3))
    matched = cloud.match(sought(own + noise, own, 1.0))
    assert (matched.flatten() % 120 == torch.arange(120)).float().mean() > 0.9
    doubles = torch.cat([points.patches, points.patches + 0.01])  # nearly the same
    nearly = Cloud(dataclasses.replace(cloud.points, patches=doubles))
    shifted = asked(nearly, {name: value + 0.01 for name, value in f.items()}).float().T.view(1, -1, 12, 10)
    own = asked(nearly, f).float().T.view(1, -1, 12, 10)
    half = torch.randint(2, (1, 1, 12, 10), generator=torch.Generator().manual_seed(4)).float()
    shares = []
    for passes in (0, 2):
        monkeypatch.setattr(cloud_module, "PASSES", passes)
        copy = nearly.match(sought(torch.lerp(own, shifted, half), own, 1.0)) // 120
        shares.append(((copy[:, 1:] == copy[:, :-1]).float().mean() + (copy[1:] == copy[:-1]).float().mean()) / 2)
    assert shares[1] > shares[0] + 0.1


def test_places_that_nobody_asks_for_do_not_crowd() -> None:
    cloud = Cloud(points_of(features(12, 10)))
    own = asked(cloud, features(12, 10)).float().T.view(1, -1, 12, 10)
    queries = sought(own, own, 1.0)
    inside = torch.zeros(1, 1, 12, 10)
    inside[..., :5] = 1
    noise = F.normalize(torch.randn(queries.shape, generator=torch.Generator().manual_seed(0)), dim=1)
    half = torch.where(inside > 0, queries, noise)
    same = torch.where(inside > 0, queries, queries.flip(3))
    seen = inside[0, 0, :, :4] > 0  # away from the border, whose neighbours differ
    assert torch.equal(cloud.match(half, inside)[:, :4][seen], cloud.match(same, inside)[:, :4][seen])
    assert cloud.match(queries, torch.zeros_like(inside)).shape == (12, 10)


def test_a_target_is_the_mean_of_what_neighbours_say() -> None:
    cloud = Cloud(points_of(features(4, 4)))
    matched = torch.tensor([[5, 6], [9, 0]])
    votes = cloud.votes(matched)[0, :, 0, 0].tolist()  # of the place at the top left
    # From itself: 5. The place right of it has 6: what lies left of that is 5. Below is 9: above that is 5.
    # Diagonally it is 0, above and left of which there is nothing.
    assert sorted(votes) == [-1] * 6 + [5, 5, 5]
    votes = cloud.votes(torch.tensor([[5, 3], [9, 0]]))[0, :, 0, 0]
    assert sorted(votes.tolist()) == [-1] * 6 + [2, 5, 5]
    scaled = cloud.points.patches * cloud.scale - cloud.mean
    torch.testing.assert_close(cloud.targets(votes[None])[0], (2 * scaled[5] + scaled[2]) / 3)


def test_freedom_goes_from_the_content_to_the_pictures_own() -> None:
    own, content = torch.randn(2, 1, 6, 3, 4, generator=torch.Generator().manual_seed(2))

    def centred(columns: Tensor) -> Tensor:
        return F.normalize(columns - columns.mean((2, 3), keepdim=True), dim=1)

    torch.testing.assert_close(sought(own, content, 1.0), centred(own))
    torch.testing.assert_close(sought(own, None, 0.5), centred(own))
    before = 1.0
    for freedom in (0.9, 0.5, 0.0):
        near = (sought(own, content, freedom) * centred(own)).sum(1).mean().item()
        assert near < before
        before = near
    mixed = F.normalize(0.4 * centred(own) + 0.6 * centred(content), dim=1)
    torch.testing.assert_close(sought(own, content, 0.0), mixed)


def made_up(count: int, value: float) -> Points:
    neighbours = torch.stack([torch.arange(count)] * 9, 1)
    spots = torch.zeros(count, 3, dtype=torch.int64)
    return Points(torch.full((count, 5), value), neighbours, torch.arange(count) // 64, spots, {"block4_conv1": 5})


def test_a_blend_has_points_of_each_style_by_its_share() -> None:
    parts = [made_up(n, float(i)) for i, n in enumerate((400, 200, 300))]
    whole = union(parts)
    assert whole.patches[:, 0].long().bincount().tolist() == [400, 200, 300]
    assert torch.equal(whole.neighbours[:, 4], torch.arange(900))
    assert union(parts, (1.0, 0.5, 0.0)).patches[:, 0].long().bincount().tolist() == [400, 100]
    assert len(parts[0].drawn(64).patches) == 64


def test_what_is_masked_gives_no_points() -> None:
    mask = torch.zeros(1, 1, 40, 56)
    mask[..., :24] = 1  # 3 of the 7 places across
    points = points_of(features(), mask)
    assert len(points.patches) == 15
    assert points.neighbours[2].tolist() == [-1, -1, -1, 1, 2, -1, 4, 5, -1]  # at the mask's border
    assert len(points_of(features(), torch.zeros(1, 1, 40, 56)).patches) == 0
    thin = torch.zeros(1, 1, 40, 56)
    thin[..., 17] = 1  # an eighth of each place of a column
    assert len(points_of(features(), thin).patches) == 5


@pytest.fixture
def extractor() -> Extractor:
    layers = dict.fromkeys(LAYERS[:3], 1.0)
    return Extractor(registry.load("compact"), layers, (), LAYERS, levels=1)


def objective(extractor: Extractor, content: Tensor, painting: Tensor, mask: Tensor | None = None) -> Objective:
    region = Region(extractor.statistics(painting), mask, Cloud(extractor.points(painting)))
    return Objective(extractor, [region], {}, target=content, match_weight=2.0, style_weight=1.5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("side", [4096, 64])
def test_the_gradient_of_matching_in_tiles_is_autograds_of_the_whole(
    extractor: Extractor, masked: bool, side: int, photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    content, pattern = photo(176), painting(160)
    picture = (content + 0.1 * torch.randn(content.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    mask = (torch.arange(content.shape[3]) / content.shape[3]).expand(1, 1, content.shape[2], -1) if masked else None
    made = objective(dataclasses.replace(extractor, tile=side), content, pattern, mask)
    plain = dataclasses.replace(made)
    made.match(picture)
    terms, gradient = made.gradient(picture)
    without, rest = plain.gradient(picture)  # never matched: the moments alone

    cloud = made.regions[0].cloud
    assert cloud is not None
    votes = made.matches[0][0].flatten(1).T
    known = (votes >= 0)[:, :, None]
    scaled = cloud.points.patches * cloud.scale - cloud.mean
    targets = (scaled[votes] * known).sum(1) / known.sum(1)
    leaf = picture.clone().requires_grad_()
    patches = patches_of(extractor.network(leaf, LAYERS))
    distances = 1 - F.cosine_similarity(patches * cloud.scale - cloud.mean, targets, dim=1)
    if mask is not None:
        distances = distances * on_grid(mask).flatten()
    loss = 1.5 * 2.0 * distances.mean()
    loss.backward()
    assert terms["style"] - without["style"] == pytest.approx(loss.item(), rel=1e-3)
    difference = (gradient - rest) - leaf.grad
    assert difference.norm() < 0.01 * leaf.grad.norm()


def test_points_in_tiles_are_those_of_the_whole(extractor: Extractor, painting: Callable[[int], Tensor]) -> None:
    pattern = painting(170)
    whole, parts = extractor.points(pattern), dataclasses.replace(extractor, tile=64).points(pattern)
    torch.testing.assert_close(whole.patches, parts.patches, atol=1e-4, rtol=1e-4)
    assert torch.equal(whole.neighbours, parts.neighbours)


def test_places_are_matched_in_tiles_as_in_the_whole(
    extractor: Extractor, photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    content, pattern = photo(176), painting(160)
    whole = objective(extractor, content, pattern)
    tiled = dataclasses.replace(whole, extractor=dataclasses.replace(extractor, tile=64))
    found = []
    for made in (whole, tiled):
        made.match(content)
        found.append(made.matches[0])
    assert (found[0] == found[1]).float().mean() > 0.97  # a rounding may turn a close choice


def test_transparent_places_do_not_pull(
    extractor: Extractor, photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    content, visible = photo(176), torch.ones(1, 1, *photo(176).shape[2:])
    visible[..., :88] = 0
    made = dataclasses.replace(objective(extractor, content, painting(160)), visible=visible)
    made.match(content)
    gradient = made.gradient(content)[1]
    assert gradient[..., :40].abs().max() < 1e-3 * gradient[..., 88:].abs().max()
