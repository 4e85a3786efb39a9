"""Points of a style against loops and brute force; and the gradient of matching, in tiles, against autograd."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.perception import registry
from impasto.style.cloud import Cloud, Points, patches_of, points_of, queries, union
from impasto.style.objective import Extractor, Objective, Region

LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block3_conv4")


def features(height: int = 5, width: int = 7, seed: int = 0) -> dict[str, Tensor]:
    """Made-up features of a picture of `height` by `width` places."""
    draw, made = torch.Generator().manual_seed(seed), {}
    for name, channels, step in (("block1_conv1", 3, 4), ("block2_conv1", 2, 2), ("block3_conv4", 5, 1)):
        made[name] = torch.randn(1, channels, height * step, width * step, generator=draw) + 0.3
    return made


def test_a_place_has_the_features_within_its_square() -> None:
    f = features()
    found = patches_of(f)
    assert found.shape == (35, 3 * 16 + 2 * 4 + 5)
    row, column = 2, 4
    place = found[row * 7 + column]
    wanted = [
        f["block1_conv1"][0, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten(),
        f["block2_conv1"][0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten(),
        f["block3_conv4"][0, :, row, column],
    ]
    assert torch.equal(place, torch.cat(wanted))


def test_columns_are_the_means_of_patches_scaled_to_count_alike() -> None:
    points = points_of(features())
    columns = Cloud(points).columns(points.patches)
    f = features()
    for start, (name, step) in zip(
        (0, 3, 5), (("block1_conv1", 4), ("block2_conv1", 2), ("block3_conv4", 1)), strict=True
    ):
        pooled = F.avg_pool2d(f[name], step)
        wanted = pooled / (f[name].square().mean() * f[name].shape[1]).sqrt()
        torch.testing.assert_close(columns[:, start : start + wanted.shape[1]], wanted[0].flatten(1).T)


def test_the_nearest_point_is_that_of_brute_force() -> None:
    cloud, asked = Cloud(points_of(features(9, 9))), torch.randn(50, 10, generator=torch.Generator().manual_seed(1))
    columns = cloud.columns(cloud.points.patches).double()
    centred = columns - columns.mean(0)
    cosines = torch.stack([F.cosine_similarity(query[None], centred) for query in asked.double()])
    found = cosines[torch.arange(50), cloud.nearest(asked)]
    torch.testing.assert_close(found, cosines.amax(1), atol=1e-2, rtol=0)  # bfloat16 may take one nearly as near


def test_a_painting_is_nearest_to_itself() -> None:
    points = points_of(features(12, 10))
    cloud = Cloud(points)
    own = cloud.columns(points.patches)
    own = own - own.mean(0)
    for freedom in (0.0, 0.5, 1.0):
        assert torch.equal(cloud.nearest(queries(own, own, freedom)), torch.arange(120))
    distances = cloud.distances(points.patches, torch.arange(120))
    torch.testing.assert_close(distances, torch.zeros(120), atol=1e-5, rtol=0)


def test_freedom_goes_from_the_content_to_the_pictures_own() -> None:
    own, content = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(2))
    assert torch.equal(queries(own, content, 0.0), F.normalize(content, dim=1))
    assert torch.equal(queries(own, content, 1.0), F.normalize(own, dim=1))


def test_a_blend_has_points_of_each_style_by_its_share() -> None:
    parts = [Points(torch.full((n, 5), float(i)), {"block3_conv4": 5}) for i, n in enumerate((400, 200, 300))]
    assert union(parts).patches[:, 0].long().bincount().tolist() == [400, 200, 300]
    assert union(parts, (1.0, 0.5, 0.0)).patches[:, 0].long().bincount().tolist() == [400, 100]
    assert len(parts[0].drawn(64).patches) == 64


def test_what_is_masked_gives_no_points() -> None:
    mask = torch.zeros(1, 1, 20, 28)
    mask[..., :12] = 1  # 3 of the 7 places across
    assert len(points_of(features(), mask).patches) == 15
    assert len(points_of(features(), torch.zeros(1, 1, 20, 28)).patches) == 0
    thin = torch.zeros(1, 1, 20, 28)
    thin[..., 9] = 1  # a quarter of each place of a column
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

    cloud, places = made.regions[0].cloud, made._matches[0].flatten()
    leaf = picture.clone().requires_grad_()
    patches = patches_of(extractor.network(leaf, LAYERS))
    distances = 1 - F.cosine_similarity(patches * cloud.scale - cloud.mean, cloud.targets[places], dim=1)
    if mask is not None:
        distances = distances * F.adaptive_avg_pool2d(mask, (content.shape[2] // 4, content.shape[3] // 4)).flatten()
    loss = 1.5 * 2.0 * distances.mean()
    loss.backward()
    assert terms["style"] - without["style"] == pytest.approx(loss.item(), rel=1e-3)
    difference = (gradient - rest) - leaf.grad
    assert difference.norm() < 0.01 * leaf.grad.norm()


def test_places_are_matched_in_tiles_as_in_the_whole(
    extractor: Extractor, photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    content, pattern = photo(176), painting(160)
    whole = objective(extractor, content, pattern)
    tiled = dataclasses.replace(whole, extractor=dataclasses.replace(extractor, tile=64))
    found = []
    for made in (whole, tiled):
        made.match(content)
        found.append(made._matches[0])
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
