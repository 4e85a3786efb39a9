"""The gradient in tiles against plain automatic differentiation of the loss written out for the whole picture."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.gaussian import Moments
from impasto.perception import registry
from impasto.perception.compact import halve
from impasto.perception.vgg import VGG19
from impasto.style import losses
from impasto.style.objective import Anchor, Extractor, Objective, Region

COMPACT_LAYERS = {"block1_conv1": 1.0, "block2_conv1": 0.5, "block3_conv1": 2.0, "block3_conv4": 1.0}


def compact_extractor(**options: object) -> Extractor:
    return Extractor(**{"network": registry.load("compact"), "style_layers": COMPACT_LAYERS,
                  "content_layers": ("block3_conv4",)} | options)  # type: ignore[arg-type]  # fmt: skip


def waves(height: int, width: int) -> Tensor:
    """A soft mask [1, 1, H, W]."""
    y, x = torch.arange(height).view(-1, 1) / 17, torch.arange(width) / 23
    return (0.5 + 0.5 * torch.sin(x + y))[None, None]


def naive_moments(f: Tensor, mask: Tensor | None) -> Moments:
    w = torch.ones_like(f[:, :1]) if mask is None else F.adaptive_avg_pool2d(mask, f.shape[2:])
    w = w / w.sum()
    mean = (w * f).sum((0, 2, 3))
    return Moments(mean, torch.einsum("nhw,nchw,ndhw->cd", w[0], f, f), torch.ones(()))


def naive_pyramid(picture: Tensor, levels: int) -> list[Tensor]:
    pictures = [picture]
    while len(pictures) < levels:
        half = (pictures[-1].shape[2] // 2, pictures[-1].shape[3] // 2)
        pictures.append(F.interpolate(pictures[-1], half, mode="bilinear", antialias=True))
    return pictures


def test_reductions_are_low_passed_as_the_network_does_it(photo: Callable[[int], Tensor]) -> None:
    picture = photo(96)
    half = compact_extractor(levels=2).reductions(picture)[1]
    torch.testing.assert_close(half[..., 1:-1, 1:-1], halve(picture)[..., 1:-1, 1:-1])  # borders are padded apart


def naive_objective(
    network: nn.Module,
    picture: Tensor,
    content: Tensor,
    styles: Sequence[tuple[Tensor, Tensor | None]],  # style picture, mask
    layers: dict[str, float],
    content_layers: Sequence[str],
    levels: int,
    content_level: int,
    style_loss: Callable[[Moments, Moments], Tensor],
    weights: tuple[float, float, float],
) -> tuple[Tensor, Tensor, Tensor]:
    """What `Objective` says it computes, for the whole picture at once."""
    pyramid = naive_pyramid(picture, levels)
    style = content_loss = torch.zeros(())
    for level, reduced in enumerate(pyramid):
        seen = network(reduced, list(layers))
        for pattern, mask in styles:
            wanted = network(naive_pyramid(pattern, levels)[level], list(layers))
            area = 1.0 if mask is None else mask.mean()
            for name, weight in layers.items():
                loss = style_loss(naive_moments(seen[name], mask), naive_moments(wanted[name], None))
                style = style + area * weight * loss / levels / sum(layers.values())
    seen = network(pyramid[content_level], content_layers)
    wanted = network(naive_pyramid(content, levels)[content_level], content_layers)
    for name in content_layers:
        f = wanted[name].bfloat16().float()  # the engine keeps the content so
        power = f[0].flatten(1).var(1, correction=0).mean()
        content_loss = content_loss + (seen[name] - f).square().mean() / power / len(content_layers)
    variation = losses.total_variation(picture, 2)
    return weights[0] * style, weights[1] * content_loss, weights[2] * variation


def objective_of(
    extractor: Extractor, content: Tensor, styles: Sequence[tuple[Tensor, Tensor | None]],
    style_loss: Callable[[Moments, Moments], Tensor], weights: tuple[float, float, float],
) -> Objective:  # fmt: skip
    return Objective(
        extractor,
        [Region(extractor.statistics(pattern), mask) for pattern, mask in styles],
        extractor.contents(content),
        style_loss=style_loss,
        style_weight=weights[0],
        content_weight=weights[1],
        variation_weight=weights[2],
    )


def relative(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("loss", ["gram", "moments", "wasserstein"])
@pytest.mark.parametrize(
    ("masked", "levels", "content_level", "tile"),
    [(False, 1, 0, 64), (False, 3, 1, 64), (True, 2, 0, 64), (True, 3, 2, 4096)],
)
def test_the_gradient_in_tiles_is_that_of_the_whole_picture_compact(
    loss: str, masked: bool, levels: int, content_level: int, tile: int,
    photo: Callable[[int], Tensor], painting: Callable[[int], Tensor],
) -> None:  # fmt: skip
    content = photo(175)[..., :-2]  # 117 by 173
    picture = (content + 0.1 * torch.randn(content.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    patterns = [painting(150), photo(190).flip(1)]
    mask = waves(*content.shape[2:])
    styles = [(patterns[0], mask), (patterns[1], 0.8 * (1 - mask))] if masked else [(patterns[0], None)]
    weights = (2.0, 0.3, 0.7)
    extractor = compact_extractor(levels=levels, content_level=content_level, tile=tile)
    assert len(extractor.tiles(picture)) == (6 if tile == 64 else 1)

    terms, gradient = objective_of(extractor, content, styles, losses.STYLE_LOSSES[loss], weights).gradient(picture)

    picture.requires_grad_()
    naive = naive_objective(
        extractor.network, picture, content, styles, COMPACT_LAYERS, extractor.content_layers, levels, content_level,
        losses.STYLE_LOSSES[loss], weights,
    )  # fmt: skip
    (wanted,) = torch.autograd.grad(sum(naive), picture)  # type: ignore[arg-type]
    assert relative(gradient, wanted) < 1e-4
    assert list(terms.values()) == pytest.approx([term.item() for term in naive], rel=1e-4)


@pytest.mark.parametrize("full", [True, False])
def test_the_gradient_in_tiles_is_that_of_the_whole_picture_vgg19(
    full: bool, narrow_vgg19: Path, photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    """The full width in blocks 1 to 3, and all five blocks with few channels; pooling is the maximum."""
    torch.manual_seed(0)
    content, style = photo(201 if full else 235), painting(201)
    layers = {f"block{b}_conv1": 1.0 for b in ((1, 2, 3) if full else (1, 2, 3, 4, 5))}
    content_layers = ("block3_conv1",) if full else ("block4_conv2", "block5_conv2")
    network = VGG19(None if full else narrow_vgg19, padding="replicate" if full else "zeros")
    extractor = Extractor(network, layers, content_layers, levels=1 if full else 2, tile=80)
    picture = 0.5 * content + 0.5 * content.flip(3)
    assert len(extractor.tiles(picture)) == 6
    weights, styles = (1.0, 0.5, 1.0), [(style, waves(*content.shape[2:]))]

    terms, gradient = objective_of(extractor, content, styles, losses.moments, weights).gradient(picture)

    picture.requires_grad_()
    naive = naive_objective(
        network, picture, content, styles, layers, content_layers, extractor.levels, 0, losses.moments, weights
    )
    (wanted,) = torch.autograd.grad(sum(naive), picture)  # type: ignore[arg-type]
    assert relative(gradient, wanted) < 1e-4
    assert list(terms.values()) == pytest.approx([term.item() for term in naive], rel=1e-4)


def test_statistics_and_contents_in_tiles_are_those_of_the_whole_picture(photo: Callable[[int], Tensor]) -> None:
    picture = photo(173)
    mask = waves(*picture.shape[2:])
    whole, tiled = compact_extractor(), compact_extractor(tile=64)
    for found, wanted in zip(tiled.statistics(picture, mask), whole.statistics(picture, mask), strict=True):
        assert list(found) == list(COMPACT_LAYERS)
        for name in COMPACT_LAYERS:
            assert relative(found[name].mean, wanted[name].mean) < 1e-5
            assert relative(found[name].second, wanted[name].second) < 1e-5
            assert found[name].weight.item() == pytest.approx(wanted[name].weight.item(), rel=1e-5)
    found, wanted = tiled.contents(picture), whole.contents(picture)
    assert relative(found["block3_conv4"].float(), wanted["block3_conv4"].float()) < 1e-3  # bfloat16 may round apart


def test_what_lies_outside_a_mask_does_not_count(photo: Callable[[int], Tensor]) -> None:
    """Within the reach of the network, which sees across the border of a mask."""
    picture, mask = photo(120), torch.zeros(1, 1, 80, 120)
    mask[..., :40] = 1
    other = picture.clone()
    other[..., 80:] = 0
    extractor = compact_extractor(levels=1)
    (found,), (wanted,) = extractor.statistics(other, mask), extractor.statistics(picture, mask)
    for name in COMPACT_LAYERS:
        assert relative(found[name].second, wanted[name].second) < 1e-5
    assert relative(extractor.statistics(other)[0]["block1_conv1"].second, wanted["block1_conv1"].second) > 0.1


@pytest.mark.parametrize(("side", "sizes"), [(20, [20]), (63, [63, 31]), (64, [64, 32, 16]), (300, [300, 150, 75])])
def test_reductions_end_while_the_deepest_layer_still_sees_4x4_positions(side: int, sizes: list[int]) -> None:
    reductions = compact_extractor().reductions(torch.rand(1, 3, side, 2 * side))
    assert [r.shape[2] for r in reductions] == sizes


def test_deeper_layers_need_larger_pictures(narrow_vgg19: Path) -> None:
    extractor = Extractor(VGG19(narrow_vgg19), {"block5_conv1": 1.0}, ("block4_conv2",), levels=3)
    assert [r.shape[2] for r in extractor.reductions(torch.rand(1, 3, 200, 300))] == [200, 100]


def test_a_picture_of_itself_has_next_to_no_loss(photo: Callable[[int], Tensor]) -> None:
    picture = photo(96)
    terms, _ = objective_of(compact_extractor(), picture, [(picture, None)], losses.moments, (1.0, 1.0, 0.0)).gradient(
        picture
    )
    assert terms == {"style": pytest.approx(0, abs=1e-6), "content": pytest.approx(0, abs=1e-4), "variation": 0}


def test_terms_are_proportional_to_their_weights(
    photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    picture, styles, extractor = photo(64).flip(2), [(painting(64), None)], compact_extractor()
    terms = [
        objective_of(extractor, photo(64), styles, losses.gram, weights).gradient(picture)[0]
        for weights in ((1.0, 1.0, 1.0), (2.0, 3.0, 4.0))
    ]
    factors = [terms[1][name] / terms[0][name] for name in ("style", "content", "variation")]
    assert factors == pytest.approx([2, 3, 4], rel=1e-5)


def test_only_the_proportion_of_layer_weights_counts(
    photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    once = compact_extractor()
    twice = dataclasses.replace(once, style_layers={name: 2 * w for name, w in COMPACT_LAYERS.items()})
    found, wanted = (
        objective_of(extractor, photo(64), [(painting(64), None)], losses.gram, (1.0, 1.0, 0.0)).gradient(photo(64))[0][
            "style"
        ]
        for extractor in (twice, once)
    )
    assert found == pytest.approx(wanted, rel=1e-6)


def test_two_regions_of_one_style_weigh_as_much_as_the_area_they_cover(painting: Callable[[int], Tensor]) -> None:
    """On a picture that looks everywhere the same, halves of a mask say what the whole says."""
    picture, extractor = torch.full((1, 3, 64, 64), 0.6), compact_extractor()
    half = torch.ones(1, 1, 64, 64)
    half[..., 32:] = 0
    losses_of = [
        objective_of(extractor, picture, [(painting(64), m) for m in masks], losses.gram, (1.0, 0.0, 0.0)).gradient(
            picture
        )[0]
        for masks in ([None], [half, 1 - half], [half])
    ]
    whole, halves, one = (terms["style"] for terms in losses_of)
    assert halves == pytest.approx(whole, rel=1e-3)
    assert one == pytest.approx(whole / 2, rel=1e-3)


def test_a_style_with_fewer_reductions_than_the_picture_is_judged_at_those_it_has(
    photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    """Its weight beside the content stays the same."""
    extractor, small, picture = compact_extractor(), painting(40), photo(120)
    assert len(extractor.statistics(small)) < len(extractor.reductions(picture)) == 3
    styles = [(small, None)]
    terms, gradient = objective_of(extractor, picture, styles, losses.gram, (1.0, 1.0, 0.0)).gradient(picture)
    fewer = dataclasses.replace(extractor, levels=len(extractor.statistics(small)))
    wanted_terms, wanted = objective_of(fewer, picture, styles, losses.gram, (1.0, 1.0, 0.0)).gradient(picture)
    assert terms == pytest.approx(wanted_terms)
    torch.testing.assert_close(gradient, wanted)


@pytest.mark.parametrize("loss", ["gram", "moments", "wasserstein"])
@pytest.mark.parametrize("kind", ["compact", "vgg19"])
def test_losses_do_not_depend_on_the_size_of_the_picture(
    loss: str, kind: str, narrow_vgg19: Path, photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    """So one set of weights serves all sizes: between 100 and 300 pixels terms keep within a factor of two."""
    if kind == "compact":
        extractor = compact_extractor()
    else:
        layers = {f"block{b}_conv1": 1.0 for b in (1, 2, 3)}
        extractor = Extractor(VGG19(narrow_vgg19, padding="replicate"), layers, ("block3_conv1",))
    terms = []
    for side in (100, 300):
        objective = objective_of(
            extractor, photo(side), [(painting(side), None)], losses.STYLE_LOSSES[loss], (1.0, 1.0, 0.0)
        )
        terms.append(objective.gradient(photo(side).flip(3))[0])
    for name in ("style", "content"):
        assert 0.5 < terms[1][name] / terms[0][name] < 2
        assert 0.01 < terms[0][name] < 100  # and they stand side by side


def test_bfloat16_gives_nearly_the_same_gradient(
    photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    picture, gradients = photo(64).flip(3), []
    for dtype in (None, torch.bfloat16):
        objective = objective_of(
            compact_extractor(dtype=dtype), photo(64), [(painting(64), None)], losses.moments, (1.0, 0.3, 0.0)
        )
        gradients.append(objective.gradient(picture)[1].flatten())
        assert gradients[-1].dtype == torch.float32
    assert F.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.97


def test_a_gradient_leaves_the_picture_as_it_is(
    photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    picture = photo(64)
    objective = objective_of(compact_extractor(), photo(64), [(painting(64), None)], losses.moments, (1.0, 0.3, 1.0))
    first, second = objective.gradient(picture), objective.gradient(picture)
    assert not picture.requires_grad and torch.equal(picture, photo(64))
    assert first[0] == second[0] and torch.equal(first[1], second[1])


def test_without_content_layers_there_is_no_content_loss(painting: Callable[[int], Tensor]) -> None:
    extractor = dataclasses.replace(compact_extractor(), content_layers=())
    assert extractor.contents(painting(64)) == {}
    terms, gradient = objective_of(
        extractor, painting(64), [(painting(64), None)], losses.gram, (1.0, 1.0, 0.0)
    ).gradient(torch.full((1, 3, 64, 64), 0.5))
    assert terms["content"] == 0 and terms["style"] > 0 and bool(gradient.isfinite().all())


def test_an_anchor_pulls_where_it_is_trusted(photo: Callable[[int], Tensor]) -> None:
    picture, near = photo(48), photo(48).flip(3)
    trust = waves(*picture.shape[2:])
    extractor = compact_extractor(levels=1)
    free = Objective(extractor, [Region(extractor.statistics(near))], extractor.contents(picture))
    held = dataclasses.replace(free, anchor=Anchor(near, trust, 5.0))
    terms, gradient = held.gradient(picture)
    pull = 2 * 5.0 * trust * (picture - near) / picture.numel()
    torch.testing.assert_close(gradient - free.gradient(picture)[1], pull)
    assert terms["temporal"] == pytest.approx(5.0 * (trust * (picture - near).square()).mean().item(), rel=1e-5)


@pytest.mark.parametrize("tile", [64, 4096])
def test_what_cannot_be_seen_counts_for_nothing(
    tile: int, photo: Callable[[int], Tensor], painting: Callable[[int], Tensor]
) -> None:
    """Terms and gradient against means weighted by alpha, written out for the whole picture."""
    content, pattern = photo(175)[..., :-2], painting(150)
    picture = (content + 0.1 * torch.randn(content.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    visible, mask = (2 * waves(*content.shape[2:]) - 1).clamp(0, 1), waves(*content.shape[2:]).flip(3)
    assert 0.2 < (visible == 0).float().mean() < 0.8
    extractor = compact_extractor(levels=2, tile=tile)
    objective = objective_of(extractor, content, [(pattern, mask)], losses.gram, (2.0, 0.3, 0.7))
    terms, gradient = dataclasses.replace(objective, visible=visible).gradient(picture)

    def mean(values: Tensor, weight: Tensor) -> Tensor:
        weight = weight.expand_as(values)
        return (values * weight).sum() / weight.sum()

    picture.requires_grad_()
    style = torch.zeros(())
    for seen, wanted in zip(naive_pyramid(picture, 2), naive_pyramid(pattern, 2), strict=True):
        found, aim = (extractor.network(p, list(COMPACT_LAYERS)) for p in (seen, wanted))
        for name, weight in COMPACT_LAYERS.items():
            loss = losses.gram(naive_moments(found[name], mask * visible), naive_moments(aim[name], None))
            style = style + weight * loss * mean(mask, visible) / 2 / sum(COMPACT_LAYERS.values())
    (f,) = extractor.network(content, ["block3_conv4"]).values()
    (g,) = extractor.network(picture, ["block3_conv4"]).values()
    f, weight = f.bfloat16().float(), F.adaptive_avg_pool2d(visible, f.shape[2:])
    centre = (f * weight).sum((2, 3), keepdim=True) / weight.sum()
    kept = mean((g - f).square(), weight) / mean((f - centre).square(), weight)
    down = picture.diff(dim=2).square() * torch.minimum(visible[..., 1:, :], visible[..., :-1, :])
    across = picture.diff(dim=3).square() * torch.minimum(visible[..., 1:], visible[..., :-1])
    naive = 2.0 * style, 0.3 * kept, 0.7 * (down.sum() + across.sum()) / (3 * visible.sum())
    (wanted,) = torch.autograd.grad(sum(naive), picture)  # type: ignore[arg-type]
    assert list(terms.values()) == pytest.approx([term.item() for term in naive], rel=1e-4)
    assert relative(gradient, wanted) < 1e-4
