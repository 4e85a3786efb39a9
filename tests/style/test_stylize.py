"""The one entry, from pictures to a picture: what a user sees. The bundled network looks, for a few steps."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import impasto
from impasto.bundled import ASSETS
from impasto.errors import ImpastoError, PictureError, SettingsError
from impasto.media.picture import Picture, fit
from impasto.perception.vgg import VGG19
from impasto.style import stylize as engine
from impasto.style import tiles as tiles_module
from impasto.style.settings import QUALITIES, in_proportion
from impasto.style.stylize import Job, Progress, Settings, running, stylize

Make = Callable[[int], Tensor]


def picture(level: float | tuple[float, float, float], height: int = 64, width: int = 96) -> Picture:
    """One colour everywhere."""
    colour = torch.tensor(level if isinstance(level, tuple) else (level,) * 3)
    return Picture(colour.view(1, 3, 1, 1).expand(1, 3, height, width).clone())


def left_half(height: int = 64, width: int = 96) -> Picture:
    pixels = torch.zeros(1, 3, height, width)
    pixels[..., : width // 2] = 1
    return Picture(pixels)


def distance(a: Picture, b: Picture) -> float:
    return (a.pixels - b.pixels).abs().mean().item()


# The same again


def test_the_same_seed_and_pictures_give_the_same_pixels(content: Picture, style: Picture) -> None:
    a, b = (stylize(content, style, steps=3, init="noise", seed=7) for _ in range(2))
    assert torch.equal(a.pixels, b.pixels)
    assert not torch.equal(a.pixels, stylize(content, style, steps=3, init="noise", seed=8).pixels)


def test_a_program_that_has_switched_gradients_off_gets_the_same(content: Picture, style: Picture) -> None:
    with torch.no_grad():
        quiet = stylize(content, style, steps=3)
        assert not torch.is_grad_enabled()
    assert torch.equal(quiet.pixels, stylize(content, style, steps=3).pixels)


def test_the_pictures_given_stay_as_they_are(content: Picture, style: Picture) -> None:
    before = content.pixels.clone(), style.pixels.clone()
    stylize(content, style, steps=2, protect=left_half(), colour="luminance")
    assert torch.equal(content.pixels, before[0]) and torch.equal(style.pixels, before[1])


def test_files_give_what_pictures_give_and_a_recipe_besides(tmp_path: Path, content: Picture, style: Picture) -> None:
    content.save(tmp_path / "photo.png", bits=16)
    style.save(tmp_path / "art.png", bits=16)
    from_files = impasto.stylize(tmp_path / "photo.png", str(tmp_path / "art.png"), steps=2)
    read = [impasto.read(tmp_path / name) for name in ("photo.png", "art.png")]
    from_memory = stylize(*read, steps=2)
    assert torch.equal(from_files.pixels, from_memory.pixels)
    assert from_files.recipe is not None and from_memory.recipe is not None
    assert [from_files.recipe["content"]["name"], from_memory.recipe["content"]["name"]] == ["photo.png", ""]
    assert from_files.recipe["settings"]["steps"] == 2


# Sizes


@pytest.mark.parametrize(("given", "asked"), [((61, 97), 64), ((97, 61), 64), ((64, 64), 50), ((40, 60), 75)])
def test_the_long_side_is_as_asked_and_the_aspect_is_kept(
    given: tuple[int, int], asked: int, photo: Make, style: Picture
) -> None:
    pixels = F.interpolate(photo(100), given)
    height, width = stylize(Picture(pixels), style, steps=1, size=asked).pixels.shape[2:]
    assert max(height, width) == asked
    assert height / width == pytest.approx(given[0] / given[1], abs=1 / min(height, width))


def test_without_a_size_the_content_keeps_its_own_up_to_1024(style: Picture, photo: Make) -> None:
    assert stylize(Picture(photo(97)), style, steps=1).pixels.shape == photo(97).shape
    assert stylize(picture(0.5, 20, 1100), style, strength=0).pixels.shape == (1, 3, 19, 1024)


def test_scales_double_up_to_the_size_asked_for(content: Picture, style: Picture) -> None:
    run = list(running(Job(content, [style]), Settings(size=390, steps=1, init="noise")))
    sizes = list(dict.fromkeys(step.size for step in run))
    assert [width for width, _ in sizes] == [98, 195, 390]
    assert [height / width for width, height in sizes] == pytest.approx([2 / 3] * 3, abs=0.01)
    assert [step.scale for step in run if step.step == 1] == [1, 2, 3]
    wanted = in_proportion(QUALITIES["fine"].steps, 1)
    assert [step.steps for step in run if step.step == 1] == [*reversed(wanted)]


def test_the_draft_is_painted_at_the_smallest_scale(
    content: Picture, style: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, painted = [], engine.draft.Canvas.painted

    def watched(canvas: Any, *args: Any) -> Tensor:
        drawn.append(tuple(canvas.picture.shape[2:]))
        return painted(canvas, *args)

    monkeypatch.setattr(engine.draft.Canvas, "painted", watched)
    first, *_ = running(Job(content, [style]), Settings(size=390, steps=1, init="draft"))
    assert first.size[0] == 98 and drawn == [first.size[::-1]]


def test_momentum_is_carried_from_scale_to_scale(
    content: Picture, style: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    adam, seen = engine.optimise.adam, []

    def watched(pixels: Tensor, *args: Any, momentum: Any, **options: Any) -> Any:
        seen.append((momentum.steps, momentum.first.shape == pixels.shape, bool(momentum.first.any())))
        return adam(pixels, *args, momentum=momentum, **options)

    monkeypatch.setattr(engine.optimise, "adam", watched)
    on_pixels = dataclasses.replace(QUALITIES["fine"], adam={})  # steps on bands begin anew at each scale
    monkeypatch.setitem(QUALITIES, "fine", on_pixels)
    run = list(running(Job(content, [style]), Settings(size=200, steps=2, init="noise")))
    assert seen == [(0, True, False), (run[0].steps, True, True)]


def cut_outs(picture: Picture) -> tuple[Picture, Picture, Tensor]:
    """The same to the eye, with black and with red under what is transparent; and where it can be seen, softly."""
    height, width = picture.pixels.shape[2:]
    y, x = torch.arange(height).view(-1, 1) - height / 2, torch.arange(width) - width / 2
    alpha = (height / 3 - (x**2 + y**2).sqrt()).div(4).clamp(0, 1)[None, None]
    hidden = (torch.zeros(1, 3, 1, 1), torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1))
    black, red = (Picture(torch.where(alpha > 0, picture.pixels, c), alpha) for c in hidden)
    return black, red, alpha


@pytest.mark.parametrize(
    "options",
    [
        {"quality": "draft"},
        {"steps": 2, "variation_weight": 0.5},
        {"steps": 1, "init": "noise", "size": 300, "tile": 256},
        {"steps": 1, "init": "content", "size": 70, "optimiser": "lbfgs"},
        {"quality": "draft", "colour": "luminance"},
        {"quality": "draft", "colour": "histogram", "size": 64},
        {"quality": "draft", "colour": "covariance"},
        {"quality": "draft", "masks": [left_half()], "protect": left_half(30, 40)},
        {"strength": 0},
        {"strength": 0, "size": 41},
        {"quality": "gatys", "steps": 1, "style_layers": ("block1_conv1", "block2_conv1")},
    ],
)
def test_colours_that_cannot_be_seen_decide_nothing(
    options: dict[str, Any], content: Picture, style: Picture, narrow_vgg19: Path
) -> None:
    if options.get("quality") == "gatys":
        options = {**options, "weights": narrow_vgg19}
    if "masks" in options:
        options = {**options, "protect": Picture(options["protect"].pixels.flip(3))}
    black, red, _ = cut_outs(content)
    results = [stylize(given, style, **options) for given in (black, red)]
    assert torch.equal(results[0].pixels, results[1].pixels)
    assert results[0].alpha is not None and results[1].alpha is not None
    assert torch.equal(results[0].alpha, results[1].alpha)
    styled = [stylize(content, given, **options) for given in cut_outs(style)[:2]]
    assert torch.equal(styled[0].pixels, styled[1].pixels)
    opaque = torch.ones_like(content.pixels[:, :1])
    plain, same = stylize(content, style, **options), stylize(Picture(content.pixels, opaque), style, **options)
    assert torch.equal(plain.pixels, same.pixels)


def test_a_cut_out_is_painted_like_its_crop(photo: Make, painting: Make) -> None:
    content, style, half = photo(192), Picture(painting(192)), left_half(128, 192).pixels[:, :1]
    cut = stylize(Picture(content * half, half), style, quality="draft").pixels[..., :96]
    crop = stylize(Picture(content[..., :96]), style, quality="draft", size=128, style_scale=192 / 128).pixels
    black = stylize(Picture(content * half), style, quality="draft").pixels[..., :96]
    # Close choices between points turn, for places beside what is hidden see it; what it looks like decides nothing.
    assert (cut - crop).abs().mean() < 0.6 * (black - crop).abs().mean()  # black: if what is hidden counted
    assert (cut - crop).mean((2, 3)).abs().max() < 0.03


def test_a_content_of_which_nothing_can_be_seen_is_refused(content: Picture, style: Picture) -> None:
    with pytest.raises(PictureError, match=r"^the content picture is wholly transparent"):
        stylize(Picture(content.pixels, torch.zeros_like(content.pixels[:, :1])), style)


def test_a_start_has_the_content_where_it_is_transparent(content: Picture, style: Picture) -> None:
    clear = torch.zeros_like(content.pixels[:, :1])
    from_nothing = stylize(content, style, steps=1, init_from=Picture(torch.ones_like(content.pixels), clear))
    assert torch.equal(from_nothing.pixels, stylize(content, style, steps=1, init_from=content).pixels)


def test_alpha_comes_back_at_the_size_of_the_result(content: Picture, style: Picture) -> None:
    with_alpha = dataclasses.replace(content, alpha=left_half().pixels[:, :1])
    result = stylize(with_alpha, style, steps=1)
    assert result.alpha is not None and torch.equal(result.alpha, with_alpha.alpha)
    small = stylize(with_alpha, style, steps=1, size=48).alpha
    assert small is not None and small.shape == (1, 1, 32, 48)
    assert small[..., :20].min() > 0.99 and small[..., 28:].max() < 0.01
    assert stylize(content, style, steps=1).alpha is None


# Styles


def style_distance(result: Picture, style: Picture) -> float:
    """Distance of the colours' means and covariances."""
    x, y = (p.pixels[0].flatten(1) for p in (result, style))
    return ((x.mean(1) - y.mean(1)).square().sum() + (x.cov() - y.cov()).square().sum()).sqrt().item()


def test_the_result_takes_the_style_and_keeps_the_content(photo: Make, painting: Make) -> None:
    content, style = Picture(photo(160)), Picture(painting(160))
    result = stylize(content, style)
    assert style_distance(result, style) < 0.5 * style_distance(content, style)
    grey, painted = content.pixels.mean(1).flatten(), result.pixels.mean(1).flatten()
    assert torch.corrcoef(torch.stack([grey, painted]))[0, 1] > 0.5


def test_the_loss_goes_down(content: Picture, style: Picture) -> None:
    losses = [step.loss for step in running(Job(content, [style]), Settings(steps=20, init="content"))]
    assert losses[-1] < 0.7 * losses[0]


def test_strength_zero_gives_the_content_back(content: Picture, style: Picture) -> None:
    result = stylize(content, style, strength=0)
    torch.testing.assert_close(result.pixels, content.pixels, rtol=0, atol=1e-3)


def test_more_strength_brings_the_result_nearer_to_the_style(content: Picture, style: Picture) -> None:
    faint, strong = (
        [*running(Job(content, [style]), Settings(steps=15, strength=s, init="content"))][-1] for s in (0.02, 1.0)
    )
    assert strong.terms["style"] < faint.terms["style"] / 0.02  # terms are weighted
    assert strong.terms["content"] > faint.terms["content"]


def red_and_blue(style: Picture) -> list[Picture]:
    """Two styles of the same strokes."""
    grey = style.pixels.mean(1, keepdim=True)
    tints = [torch.tensor(t).view(1, 3, 1, 1) for t in ((1.0, 0.3, 0.3), (0.3, 0.3, 1.0))]
    return [Picture((0.3 + 0.7 * grey) * tint) for tint in tints]


def test_styles_blend_by_their_weights(content: Picture, style: Picture) -> None:
    means = []
    for weights in ((1.0, 0.0), (1.0, 1.0), (0.0, 1.0)):
        result = stylize(content, red_and_blue(style), style_weights=weights, steps=12)
        means.append((result.pixels[:, 0] - result.pixels[:, 2]).mean().item())
    assert means[0] > means[1] + 0.1 > means[2] + 0.2


def test_a_style_of_weight_zero_is_as_good_as_none(content: Picture, style: Picture, photo: Make) -> None:
    other = Picture(photo(96).flip(1))
    both, alone = stylize(content, [other, style], style_weights=(0, 2), steps=3), stylize(content, style, steps=3)
    torch.testing.assert_close(both.pixels, alone.pixels)


def test_only_the_proportion_of_style_weights_counts(content: Picture, style: Picture, photo: Make) -> None:
    styles = [style, Picture(photo(96).flip(1))]
    few, many = (stylize(content, styles, style_weights=w, steps=3) for w in ((1, 3), (2, 6)))
    assert torch.equal(few.pixels, many.pixels)


def test_style_scale_sets_the_size_of_the_style_picture_up_to_its_own(content: Picture, painting: Make) -> None:
    large = Picture(painting(300))
    fine, normal = (stylize(content, large, steps=3, style_scale=s, init="content") for s in (0.5, 1.0))
    assert distance(fine, normal) > 0.005
    shrunk = stylize(content, Picture(fit(large.pixels, 48)), steps=3, init="content")
    assert torch.equal(fine.pixels, shrunk.pixels)
    assert torch.equal(*(stylize(content, Picture(painting(96)), steps=1, style_scale=s).pixels for s in (1.0, 2.0)))


def test_a_style_much_smaller_than_the_content_serves(content: Picture, painting: Make) -> None:
    result = stylize(content, Picture(painting(30)), steps=2)
    assert bool(result.pixels.isfinite().all())


@pytest.mark.parametrize("init", ["content", "noise"])
def test_every_start_leads_to_a_picture(init: str, content: Picture, style: Picture) -> None:
    result = stylize(content, style, steps=2, init=init)
    assert result.pixels.min() >= 0 and result.pixels.max() <= 1
    near = {"content": content, "noise": picture(0.5)}[init]
    assert style_distance(result, near) == min(style_distance(result, p) for p in (content, picture(0.5), style))


def test_a_run_can_start_from_any_picture(content: Picture, style: Picture) -> None:
    first = next(running(Job(content, [style], init_from=picture((0.1, 0.9, 0.1))), Settings(steps=1)))
    assert (first.result().pixels.mean((0, 2, 3)) - torch.tensor([0.1, 0.9, 0.1])).abs().max() < 0.1


@pytest.mark.parametrize("loss", ["gram", "moments", "wasserstein"])
@pytest.mark.parametrize("flat", ["content", "style", "both"])
@pytest.mark.parametrize("level", [0.0, 0.6, 1.0])
def test_pictures_of_one_colour_give_finite_results(
    level: float, flat: str, loss: str, content: Picture, style: Picture
) -> None:
    what = picture(level) if flat != "style" else content
    how = picture(level) if flat != "content" else style
    result = stylize(what, how, style_loss=loss, steps=2, size=48)
    assert bool(result.pixels.isfinite().all())


def test_a_blank_canvas_takes_the_style(style: Picture) -> None:
    """Its content, which has no variance to be measured by, does not outweigh everything."""
    blank = picture(0.6)
    result = stylize(blank, style, steps=20, content_weight=0.001)
    assert result.pixels.std() > 0.4 * style.pixels.std()


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_either_optimiser_works(optimiser: str, content: Picture, style: Picture) -> None:
    run = list(running(Job(content, [style]), Settings(steps=6, optimiser=optimiser, init="content")))
    assert run[-1].loss < run[0].loss


# Colours


def test_luminance_keeps_the_hues_of_the_content(content: Picture, style: Picture) -> None:
    from skimage.color import rgb2lab

    result = stylize(content, style, steps=3, colour="luminance")
    inside = ((result.pixels > 0) & (result.pixels < 1)).all(1)[0].numpy()
    found, wanted = (rgb2lab(p.pixels[0].permute(1, 2, 0).numpy()) for p in (result, content))
    assert inside.mean() > 0.5
    np.testing.assert_allclose(found[..., 1:][inside], wanted[..., 1:][inside], atol=0.5)
    assert np.abs(found[..., 0] - wanted[..., 0]).mean() > 1


@pytest.mark.parametrize("colour", ["histogram", "covariance", "luminance"])
def test_colours_of_the_content_can_be_kept(colour: str, content: Picture, style: Picture) -> None:
    kept, taken = (stylize(content, style, steps=12, colour=c) for c in (colour, "style"))
    means = [(p.pixels.mean((0, 2, 3)) - content.pixels.mean((0, 2, 3))).abs().max().item() for p in (kept, taken)]
    assert means[0] < 0.5 * means[1]


# Regions


def test_protected_pixels_are_bit_identical_to_the_content(content: Picture, style: Picture) -> None:
    """With a mask of another size, too, and after the detour over coarse scales."""
    for mask in (left_half(), left_half(50, 75)):
        result = stylize(content, style, steps=3, size=96, protect=mask)
        assert torch.equal(result.pixels[..., :44], content.pixels[..., :44])
        assert (result.pixels - content.pixels)[..., 52:].abs().mean() > 0.02


def test_protected_pixels_do_not_move_while_the_others_are_painted(
    content: Picture, style: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the strokes beside them would continue what nobody gets to see."""
    adam, seen = engine.optimise.adam, []

    def watched(pixels: Tensor, *args: Any, **options: Any) -> Any:
        for step in adam(pixels, *args, **options):
            seen.append((step.picture - pixels)[..., :44].abs().max().item())
            yield step

    monkeypatch.setattr(engine.optimise, "adam", watched)
    stylize(content, style, steps=3, protect=left_half())
    assert len(seen) == 3 and max(seen) < 1e-5


def test_protected_pixels_keep_their_colours_in_every_colour_mode(content: Picture, style: Picture) -> None:
    for colour in ("luminance", "histogram", "covariance"):
        result = stylize(content, style, steps=1, protect=left_half(), colour=colour)
        assert torch.equal(result.pixels[..., :48], content.pixels[..., :48])


def test_a_style_goes_where_its_mask_is(content: Picture, style: Picture) -> None:
    right = Picture(1 - left_half().pixels)
    red, blue = red_and_blue(style)
    one, other = (
        stylize(content, styles, masks=[left_half(), right], steps=15).pixels for styles in ([red, blue], [blue, red])
    )
    redder = (one - other)[0, 0] - (one - other)[0, 2]
    assert redder[:, :36].mean() > 0.1 and redder[:, 60:].mean() < -0.1


def test_what_is_in_no_mask_keeps_its_content(content: Picture, style: Picture) -> None:
    result = stylize(content, style, masks=[left_half()], steps=25, init="content").pixels
    changed = (result - content.pixels).abs().mean((0, 1))
    assert changed[:, 60:].mean() < 0.5 * changed[:, :36].mean()


# Progress


def test_progress_counts_up_to_the_end(content: Picture, style: Picture) -> None:
    run = list(running(Job(content, [style]), Settings(steps=4, size=200, init="noise")))
    assert all(isinstance(p, Progress) for p in run)
    done = [p.done for p in run]
    assert done == sorted(set(done)) and done[0] > 0 and done[-1] == pytest.approx(1)
    assert [p.step for p in run if p.scale == 1] == list(range(1, run[0].steps + 1))
    assert {p.scales for p in run} == {run[-1].scale}
    assert run[0].loss == pytest.approx(sum(run[0].terms.values()))
    assert set(run[0].terms) == {"style", "content", "variation"}


def test_every_step_has_a_result_of_full_size_and_closing_early_keeps_it(content: Picture, style: Picture) -> None:
    run = running(Job(content, [style]), Settings(steps=50, size=200, init="noise"))
    first = next(run)
    run.close()
    assert next(run, None) is None
    assert first.size[0] == 100
    assert first.result().pixels.shape == (1, 3, 133, 200)


# Memory


def test_little_memory_forces_tiles_and_changes_next_to_nothing(
    content: Picture, style: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adam divides by the gradient's size, so where that is near zero rounding shows; elsewhere nothing does."""
    monkeypatch.setattr(tiles_module, "SMALLEST_TILE", 48)
    monkeypatch.setattr("impasto.style.settings.check", lambda _: None)  # which knows no tiles of this size
    tiles = []
    features = engine.Extractor.features
    monkeypatch.setattr(
        engine.Extractor,
        "features",
        lambda extractor, p, tile, layers: tiles.append(tile) or features(extractor, p, tile, layers),
    )
    options: dict[str, Any] = {"size": 150, "steps": 2, "precision": "float32", "init": "content"}
    options["protect"] = left_half()
    whole = stylize(content, style, **options)
    untiled = len(tiles)
    tiled = stylize(content, style, memory=0.1, **options)
    assert len(tiles) > 4 * untiled
    apart = (whole.pixels - tiled.pixels).abs()
    assert apart.mean() < 1e-4 and (apart > 1e-3).float().mean() < 0.02


def test_tiles_grow_with_the_memory_that_may_be_used() -> None:
    whole = torch.zeros(1, 3, 2000, 3000)
    sides = [engine.tile_for("compact", memory, whole) for memory in (0.1, 2.5, 4.0)]
    assert sides[0] == tiles_module.SMALLEST_TILE and sides == sorted(set(sides))
    assert engine.tile_for("vgg19", 4.0, whole) < sides[2]  # it takes more per pixel


# Refusals: one line each


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"quality": "best"}, SettingsError, "there is no quality"),
        ({"colour": "red"}, SettingsError, "there is no colour"),
        ({"network": "resnet"}, SettingsError, "there is no network 'resnet'; there is compact, vgg16, vgg19"),
        ({"pooling": "average"}, SettingsError, "pooling is a VGG's"),
        ({"device": "tpu"}, SettingsError, "no device 'tpu'"),
        ({"style_layers": ("conv1",)}, SettingsError, "no style_layers 'conv1'"),
        ({"style_layers": ("block5_conv1",)}, ImpastoError, "block5_conv1.*block3_conv4"),
        ({"style_weights": (1.0, 2.0)}, SettingsError, "give 1 style weights"),
        ({"style_weights": (0.0,)}, SettingsError, "not all 0"),
        ({"style_weights": (-1.0,)}, SettingsError, "style_weights? goes from 0 |style weights from 0 up"),
        ({"style_weights": (float("nan"),)}, SettingsError, "style_weights? goes from 0 |style weights from 0 up"),
        ({"masks": [left_half(), left_half()]}, SettingsError, "one mask per style: there are 1 styles and 2 masks"),
        ({"masks": [left_half()], "style_weights": (1.0,)}, SettingsError, "one or the other"),
        ({"masks": [picture(0.0)]}, SettingsError, "mask 1 is .*empty"),
        ({"protect": picture(1.0)}, SettingsError, "empty"),
        ({"weights": "nowhere.safetensors"}, ImpastoError, "nowhere.safetensors"),
        ({"size": 16}, PictureError, "content picture is too narrow at 16x11: 16 pixels at least"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    options: dict[str, Any], kind: type[ImpastoError], message: str, content: Picture, style: Picture
) -> None:
    with pytest.raises(kind, match=message) as refusal:
        stylize(content, style, **options)
    assert "\n" not in str(refusal.value)


def test_pictures_too_narrow_to_look_at_are_refused_by_their_name(content: Picture, style: Picture) -> None:
    with pytest.raises(PictureError, match="content picture is too narrow at 96x15"):
        stylize(picture(0.5, 15, 96), style)
    with pytest.raises(PictureError, match="style picture is too narrow at 40x8"):
        stylize(content, [style, picture(0.5, 40, 8)])
    assert bool(stylize(picture(0.5, 16, 96), picture(0.5, 60, 16), steps=1).pixels.isfinite().all())


def test_no_style_is_refused(content: Picture) -> None:
    with pytest.raises(SettingsError, match="at least one style"):
        stylize(content, [])


def test_a_missing_file_is_named(style: Picture) -> None:
    with pytest.raises(PictureError, match="no-such-photo"):
        stylize("no-such-photo.jpg", style)


# Qualities


def test_gallery_looks_with_vgg19(content: Picture, style: Picture, narrow_vgg19: Path) -> None:
    result = stylize(content, style, quality="gallery", steps=2, weights=narrow_vgg19)
    assert bool(result.pixels.isfinite().all())
    assert distance(result, stylize(content, style, steps=2)) > 0.005


@pytest.mark.parametrize("quality", ["gallery", "gatys"])
def test_vgg16_looks_where_it_is_asked_to(
    quality: str, content: Picture, style: Picture, narrow_vgg16: Path, narrow_vgg19: Path
) -> None:
    result = stylize(content, style, quality=quality, network="vgg16", steps=2, weights=narrow_vgg16)
    assert bool(result.pixels.isfinite().all())
    assert distance(result, stylize(content, style, quality=quality, steps=2, weights=narrow_vgg19)) > 1e-3


def classic_recipe(network: VGG19, pixels: Tensor, content: Tensor, style: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The tutorials' loss of `pixels` on the 0-255 scale, which the network takes divided by 255."""

    def gram(f: Tensor) -> Tensor:
        flat = f[0].flatten(1)
        return flat @ flat.T / flat.shape[1]

    layers = [f"block{n}_conv1" for n in (1, 2, 3, 4, 5)]
    seen, wanted = network(pixels / 255, [*layers, "block5_conv2"]), network(style, layers)
    pulled = torch.stack([F.mse_loss(gram(seen[name]), gram(wanted[name])) for name in layers]).mean()
    kept = F.mse_loss(seen["block5_conv2"], network(content, ["block5_conv2"])["block5_conv2"].bfloat16().float())
    unit = pixels / 255
    noise = (unit[..., 1:] - unit[..., :-1]).abs().sum() + (unit[..., 1:, :] - unit[..., :-1, :]).abs().sum()
    return 1e-2 * pulled, 1e3 * kept, 30 * noise


def test_gatys_is_the_classic_recipe_step_for_step(photo: Make, painting: Make, narrow_vgg19: Path) -> None:
    content, style, start = photo(96), painting(96), photo(96).flip(3)
    job = Job(Picture(content), [Picture(style)], weights=narrow_vgg19, init_from=Picture(start))
    network = VGG19(narrow_vgg19)
    pixels = (start * 255).requires_grad_()
    adam = torch.optim.Adam([pixels], lr=5, betas=(0.99, 0.999), eps=0.1)
    for step in running(job, Settings(quality="gatys", steps=3)):
        terms = classic_recipe(network, pixels, content, style)
        adam.zero_grad()
        torch.stack(terms).sum().backward()
        adam.step()
        pixels.data.clamp_(0, 255)
        assert list(step.terms.values()) == pytest.approx([t.item() for t in terms], rel=1e-3)
        assert step.size == (96, 64) and step.scales == 1
        apart = (step.result().pixels - pixels.detach() / 255).abs()
        assert apart.mean() < 1e-5 and apart.max() < 2e-3
    assert step.step == 3


def test_gatys_takes_a_thousand_steps_at_full_size() -> None:
    gatys = QUALITIES["gatys"]
    assert gatys.steps == (1000,) and not gatys.coarse_to_fine


def test_one_mask_needs_no_list(tmp_path: Path) -> None:
    white = tmp_path / "white.png"
    Picture(torch.ones(1, 3, 40, 40)).save(white)
    flat = Picture(torch.full((1, 3, 40, 40), 0.5))
    style = Picture(torch.rand(1, 3, 40, 40))
    one, listed = (stylize(flat, style, quality="draft", masks=masks) for masks in (str(white), [white]))
    assert torch.equal(one.pixels, listed.pixels)


# Where the photograph is flat


def lattice(pixels: Tensor) -> list[float]:
    """Power at periods of 2, 4 and 8 pixels, across, down and both, over that of the neighbouring frequencies."""
    grey, window = pixels[0].mean(0).double(), torch.hann_window(64, dtype=torch.float64)
    power = torch.zeros(64, 64, dtype=torch.float64)
    for part in grey.unfold(0, 64, 16).unfold(1, 64, 16).flatten(0, 1):
        power += torch.fft.fft2((part - part.mean()) * torch.outer(window, window)).abs().square()
    ring = torch.ones(7, 7, dtype=torch.bool)
    ring[2:5, 2:5] = False
    found = []
    for down, across in ((d, a) for n in (32, 16, 8) for d, a in ((0, n), (n, 0), (n, n))):
        near = power.roll((3 - down, 3 - across), (0, 1))[:7, :7]
        found.append((near[2:5, 2:5].mean() / near[ring].mean()).item())
    return found


def test_power_of_a_weave_is_seen() -> None:
    weave = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    weave[..., ::8] += 0.2
    assert max(lattice(weave)) > 3


@pytest.mark.parametrize("style", ["meadow", "mosaic"])
def test_flat_parts_of_a_photograph_get_no_lattice(style: str) -> None:
    ramp = torch.linspace(0.3, 0.7, 192)
    flat = torch.stack([ramp.expand(192, 192), torch.full((192, 192), 0.5), ramp[:, None].expand(192, 192)])[None]
    assert max(lattice(stylize(Picture(flat), ASSETS / "styles" / f"{style}.jpg").pixels)) < 2
