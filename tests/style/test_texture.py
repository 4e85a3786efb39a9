"""Textures: any size, like their sample, and without an edge where they tile."""

import dataclasses
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.bundled import ASSETS
from impasto.errors import SettingsError
from impasto.media.picture import Picture
from impasto.perception import registry
from impasto.style import losses, source
from impasto.style.objective import Extractor, Objective, Region
from impasto.style.settings import Settings
from impasto.style.texture import GRID, Job, noise, periodic, scales, synthesising

LAYERS = {"block1_conv1": 1.0, "block2_conv1": 1.0, "block3_conv1": 1.0}
BOTH, NEITHER = (True, True), (False, False)


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(registry.load("compact"), LAYERS, (), levels=3)


@pytest.fixture(scope="module")
def tile() -> Tensor:
    """A texture of 128x64 pixels that wraps round both ways."""
    return made("mosaic", size=(128, 64), seamless="both", steps=12)


def made(style: str, *, size: tuple[int, int], seamless: str = "no", **settings: Any) -> Tensor:
    job = Job([ASSETS / "styles" / f"{style}.jpg"], width=size[0], height=size[1], seamless=seamless)
    *_, last = synthesising(job, Settings(**settings))
    return last.result().pixels


def photograph(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def roughness(pixels: Tensor, axis: int) -> Tensor:
    """Mean squared difference of each line to the one before; the first is the seam."""
    return (pixels - pixels.roll(1, axis)).square().mean([i for i in range(4) if i != axis])


# Looking at what wraps round


@pytest.mark.parametrize("wrap", [BOTH, (False, True), (True, False)])
def test_where_a_picture_wraps_round_its_place_does_not_matter(wrap: tuple[bool, bool], extractor: Extractor) -> None:
    wrapping = dataclasses.replace(extractor, wrap=wrap)
    picture = photograph(64, 96)
    moved = picture.roll([16 * w for w in wrap], [2, 3])
    for found, wanted in zip(wrapping.statistics(moved), wrapping.statistics(picture), strict=True):
        for name in LAYERS:
            torch.testing.assert_close(found[name].second, wanted[name].second, rtol=1e-4, atol=1e-4)
    plain, still = extractor.statistics(moved)[0], extractor.statistics(picture)[0]
    assert (plain["block3_conv1"].mean - still["block3_conv1"].mean).abs().max() > 1e-3


def test_a_reduction_wraps_round_too(extractor: Extractor) -> None:
    wrapping = dataclasses.replace(extractor, wrap=BOTH)
    picture = photograph(64, 64)
    for level, (found, wanted) in enumerate(
        zip(wrapping.reductions(picture.roll(8, 3)), wrapping.reductions(picture), strict=True)
    ):
        torch.testing.assert_close(found, wanted.roll(8 >> level, 3))
    inside = extractor.reductions(picture)[1][..., 1:-1, 1:-1]
    torch.testing.assert_close(wrapping.reductions(picture)[1][..., 1:-1, 1:-1], inside)


def test_the_gradient_in_tiles_is_that_of_the_whole(extractor: Extractor) -> None:
    wanted = extractor.statistics(photograph(96, 96).flip(3).sqrt())
    picture = photograph(128, 160)
    found = []
    for side in (4096, 64):
        looking = dataclasses.replace(extractor, wrap=BOTH, tile=side)
        objective = Objective(looking, [Region(wanted)], {}, style_loss=losses.gram)
        found.append(objective.gradient(picture))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-7)


# Sizes


@pytest.mark.parametrize(("height", "width"), [(512, 512), (500, 300), (64, 64), (32, 1000), (2048, 1024), (129, 127)])
def test_scales_double_on_the_grid_up_to_the_size(height: int, width: int) -> None:
    found = scales(height, width)
    assert all(h % GRID == 0 and w % GRID == 0 for h, w in found)
    assert all((2 * a, 2 * b) == c for (a, b), c in pairwise(found))
    assert found[-1][0] >= height and found[-1][1] >= width
    assert found[-1][0] < height + GRID * 2 ** len(found) and min(found[0]) < 160


def test_resizing_keeps_a_wave_whole() -> None:
    def wave(height: int, width: int) -> Tensor:
        rows, columns = (torch.arange(n) + 0.5 for n in (height, width))
        phase = 2 * math.pi * (2 * rows[:, None] / height + 3 * columns / width)
        return (0.5 + 0.4 * torch.sin(phase)).expand(1, 3, height, width)

    for size in ((128, 96), (60, 50), (64, 48)):
        torch.testing.assert_close(periodic(wave(64, 48), *size, BOTH), wave(*size), atol=0.02, rtol=0)
    cut = periodic(wave(64, 48), 128, 96, NEITHER)
    off = (cut - wave(128, 96)).abs()
    assert off[..., 1:-1, 1:-1].max() < 0.02 < off.max()  # without wrapping, the edge is what is off


@pytest.mark.parametrize(
    ("size", "seamless"), [((70, 45), "no"), ((100, 37), "both"), ((33, 80), "x"), ((48, 48), "y")]
)
def test_any_size_comes_out_as_asked(size: tuple[int, int], seamless: str) -> None:
    assert made("wave", size=size, seamless=seamless, steps=1).shape == (1, 3, size[1], size[0])


# The texture


def test_the_start_has_the_samples_colours_and_no_order() -> None:
    painting = source.StyleImage(0.3 + 0.4 * photograph(64, 64) * torch.tensor([1.0, 0.5, 0.2])[:, None, None])
    found = noise([painting], [1.0], 256, 256, seed=0)
    wanted = painting.pixels[0].flatten(1)
    torch.testing.assert_close(found[0].flatten(1).mean(1), wanted.mean(1), atol=0.01, rtol=0)
    torch.testing.assert_close(found[0].flatten(1).cov(), wanted.cov(), atol=0.002, rtol=0)
    assert not torch.equal(found, noise([painting], [1.0], 256, 256, seed=1))


def test_a_texture_has_its_samples_statistics(extractor: Extractor, tile: Tensor) -> None:
    picture = source.StyleImage(registry_sample("mosaic")).fitted(640)[0]
    wanted, found = extractor.statistics(picture)[0], extractor.statistics(tile)[0]
    start = extractor.statistics(noise([source.StyleImage(picture)], [1.0], 64, 128, 0))[0]
    for name in LAYERS:
        assert losses.gram(found[name], wanted[name]) < 0.6 * losses.gram(start[name], wanted[name])


def registry_sample(name: str) -> Tensor:
    from impasto.media.picture import read

    return read(ASSETS / "styles" / f"{name}.jpg").pixels


def test_the_seam_is_as_rough_as_the_inside(tile: Tensor) -> None:
    for axis in (2, 3):
        lines = roughness(tile, axis)
        seam, inside = lines[0], lines[1:]
        assert inside.min() <= seam <= inside.max()
        assert 0.5 < seam / inside.mean() < 2


def test_one_axis_may_tile_alone() -> None:
    across = made("mosaic", size=(64, 64), seamless="x", steps=12)
    rows, columns = roughness(across, 2), roughness(across, 3)
    assert columns[0] < 1.5 * columns[1:].mean()
    assert rows[0] > 1.3 * rows[1:].mean()  # the other does not


def test_the_seed_gives_another_piece() -> None:
    first, again, other = (made("ink", size=(48, 48), steps=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_samples_blend_and_may_be_saved_styles(tmp_path: Path) -> None:
    dark, light = (Picture(torch.full((1, 3, 64, 64), v)) for v in (0.2, 0.8))
    source.save(light, tmp_path / "light.style")

    def brightness(*shares: float) -> float:
        job = Job([dark, tmp_path / "light.style"], width=48, height=48)
        *_, last = synthesising(job, Settings(style_weights=shares, steps=5))
        return last.result().pixels.mean().item()

    assert brightness(1, 0) < 0.3 < brightness(1, 1) < 0.7 < brightness(0, 1)


def test_a_smaller_scale_makes_a_finer_pattern() -> None:
    stripes = (0.5 + 0.4 * torch.sin(torch.arange(256) * 2 * math.pi / 32)).expand(1, 3, 256, 256)

    def pace(scale: float) -> float:
        job = Job([Picture(stripes)], width=128, height=128, scale=scale)
        *_, last = synthesising(job, Settings(steps=15))
        spectrum = torch.fft.rfft(last.result().pixels.mean(1)[0] - 0.5).abs().square().mean(0)
        return ((spectrum * torch.arange(len(spectrum))).sum() / spectrum.sum()).item()

    assert pace(0.5) > 1.4 * pace(1.0)


def test_a_texture_says_how_it_was_made_and_progress_counts_up() -> None:
    job = Job([ASSETS / "styles" / "wave.jpg"], width=128, height=64, seamless="x")
    run = list(synthesising(job, Settings(steps=2, seed=3)))
    recipe = run[-1].result().recipe
    assert recipe is not None and recipe["command"] == "texture"
    chosen = recipe["settings"]
    assert (chosen["width"], chosen["height"], chosen["seamless"], chosen["seed"]) == (128, 64, "x", 3)
    assert recipe["styles"][0]["name"] == "wave.jpg"
    assert [(step.scale, step.scales) for step in run[-2:]] == [(1, 1)] * 2
    done = [step.done for step in run]
    assert done == sorted(done) and done[-1] == 1


@pytest.mark.parametrize(
    ("size", "seamless", "settings", "message"),
    [((31, 64), "no", {}, "width goes from 32 to 100000"), ((64, 64), "z", {}, "there is no seamless .z."),
     ((64, 64), "no", {"quality": "draft"}, "fine or gallery"), ((64, 64), "no", {"style_scale": 2.0}, "leave out"),
     ((64, 64), "no", {"style_weights": (1.0, 2.0)}, "1 style weights"), ((64, 64), "no", {"steps": 0}, "steps goes")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    size: tuple[int, int], seamless: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        made("wave", size=size, seamless=seamless, **settings)


def test_the_border_of_a_sample_is_no_part_of_the_texture() -> None:
    framed = photograph(128, 128) * 0.2 + 0.4
    bare = framed.clone()
    for edge in (bare[..., :6, :], bare[..., -6:, :], bare[..., :6], bare[..., -6:]):
        edge.fill_(1.0)
    results = []
    for pixels in (framed, bare):
        *_, last = synthesising(Job([Picture(pixels)], width=64, height=64), Settings(steps=6))
        results.append(last.result().pixels)
    apart = (bare.mean() - framed.mean()).item()
    assert (results[1].mean() - results[0].mean()).abs().item() < 0.8 * apart  # 0.94 if the border counts


def test_transparent_parts_of_a_sample_are_no_texture() -> None:
    shown, alpha = photograph(160, 160), torch.zeros(1, 1, 160, 160)
    alpha[..., 20:140, 20:100] = 1
    alpha[..., 20:60, 20:60] = 0  # an L
    results = []
    for hidden in (0.0, 1.0):
        *_, last = synthesising(
            Job([Picture(torch.where(alpha > 0, shown, hidden), alpha)], width=64, height=64), Settings(steps=3)
        )
        results.append(last.result().pixels)
    assert torch.equal(results[0], results[1])
    inside = shown[0, :, alpha[0, 0] > 0].mean(1)
    assert (results[0].mean((2, 3))[0] - inside).abs().max() < 0.1
