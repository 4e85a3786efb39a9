"""Saved styles stand in for their pictures, and files that are none are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from skimage import data
from torch import Tensor

from impasto.errors import OutputError, PictureError, SettingsError
from impasto.media.picture import Picture, resize
from impasto.perception import registry
from impasto.style import draft, losses, source
from impasto.style.anystyle import LAYERS
from impasto.style.objective import Extractor
from impasto.style.source import StyleImage
from impasto.style.stylize import stylize

CPU = torch.device("cpu")


def picture(pixels: "object", height: int, width: int) -> Picture:
    return Picture(resize(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255, height, width))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def coffee() -> Picture:
    return picture(data.coffee(), 256, 384)


@pytest.fixture
def saved(tmp_path: Path, coffee: Picture) -> Path:
    source.save(coffee, tmp_path / "coffee.style", size=256)
    return tmp_path / "coffee.style"


def test_what_is_saved_is_what_the_picture_shows(tmp_path: Path, coffee: Picture) -> None:
    source.save(coffee, tmp_path / "x.style")
    stored, shown, model = source.load(tmp_path / "x.style", CPU), StyleImage(coffee.pixels), draft.load()
    found, wanted = (one.drafted(model, 384, 384, None, 2048) for one in (stored, shown))
    octaves = replace(stored, image=None).drafted(model, 384, 384, None, 2048)  # as of version 0.2
    assert octaves.points is None and found.points is not None and wanted.points is not None
    assert (found.points.patches - wanted.points.patches).norm() < 0.02 * wanted.points.patches.norm()
    for seen in (found, octaves):
        assert seen.moments.keys() == wanted.moments.keys()
        for name, moments in wanted.moments.items():
            assert (seen.moments[name].mean - moments.mean).norm() < 1e-3 * moments.mean.norm()
            assert (seen.moments[name].second - moments.second).norm() < 1e-3 * moments.second.norm()


@pytest.mark.parametrize("side", [256, 128])
def test_a_smaller_scale_aims_at_the_reductions(saved: Path, coffee: Picture, side: int) -> None:
    extractor = Extractor(registry.load("compact"), dict.fromkeys(LAYERS, 1.0), ())
    found, wanted = (one.levels(extractor, side, 256) for one in (source.load(saved, CPU), StyleImage(coffee.pixels)))
    for level, (one, other) in enumerate(zip(found, wanted, strict=False)):
        for name, moments in other.items():
            distance = (one[name].second - moments.second).norm() / moments.second.norm()
            assert distance < 0.15, f"{name} at reduction {level}"


@pytest.mark.parametrize("quality", ["draft", "fine"])
def test_a_saved_style_paints_like_its_picture(saved: Path, coffee: Picture, quality: str) -> None:
    content = picture(data.astronaut(), 96, 128)
    options = {"quality": quality, "size": 256, "precision": "float32"} | ({"steps": 4} if quality == "fine" else {})
    one, other = (stylize(content, style, **options).pixels for style in (saved, coffee))
    assert (one - other).abs().mean() < 0.03
    assert (one - resize(content.pixels, 192, 256)).abs().mean() > 0.05


def test_a_broader_brush_is_saved_with_the_style(tmp_path: Path, coffee: Picture) -> None:
    found = []
    for scale in (0.5, 1.0):
        source.save(coffee, tmp_path / "x.style", size=256, scale=scale)
        found.append(source.load(tmp_path / "x.style", CPU))
    half, whole = found
    torch.testing.assert_close(half.octaves[0][LAYERS[0]].mean, whole.octaves[1][LAYERS[0]].mean, atol=0.05, rtol=0.1)


def test_a_saved_style_is_small(saved: Path) -> None:
    assert saved.stat().st_size < 1_500_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "luminance"}, "keeps its colours: leave out colour luminance"),
        ({"style_layers": ("block3_conv4",)}, "for the compact network and its layers"),
    ],
)
def test_what_a_saved_style_cannot_do_is_refused(saved: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        stylize(picture(data.astronaut(), 64, 64), saved, steps=1, **options)


def test_other_names_and_places_are_refused(tmp_path: Path, coffee: Picture) -> None:
    with pytest.raises(SettingsError, match=r"ends in \.style"):
        source.save(coffee, tmp_path / "coffee.png")
    with pytest.raises(OutputError, match="there is no folder"):
        source.save(coffee, tmp_path / "nowhere" / "coffee.style")


def changed(path: Path, name: str, value: Tensor | None) -> None:
    tensors = load_file(path)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    save_file(tensors, path, {"format": source.FORMAT})


def test_files_of_others_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        source.load(tmp_path / "nothing.style", CPU)
    (tmp_path / "text.style").write_text("a style")
    save_file({"colours/mean": torch.zeros(3)}, tmp_path / "other.style")
    for name in ("text", "other"):
        with pytest.raises(SettingsError, match=r"no style that Impasto saved"):
            source.load(tmp_path / f"{name}.style", CPU)
    whole = saved.read_bytes()
    layer = f"1/{LAYERS[0]}/mean"
    for value in (None, torch.zeros(5), torch.full((24,), torch.nan)):
        saved.write_bytes(whole)
        changed(saved, layer, value)
        with pytest.raises(SettingsError, match="damaged"):
            source.load(saved, CPU)
    saved.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SettingsError, match="damaged"):
        source.load(saved, CPU)


def disc(height: int, width: int, radius: float) -> Tensor:
    y, x = torch.arange(height).view(-1, 1) - height / 2, torch.arange(width) - width / 2
    return (x**2 + y**2 < radius**2).float()[None, None]


def test_a_scan_is_held_no_larger_than_the_result_needs(coffee: Picture) -> None:
    scan = StyleImage(resize(coffee.pixels, 1600, 2400), visible=torch.ones(1, 1, 1600, 2400))
    small, same = scan.reduced(512), scan.reduced(1200)
    assert max(small.pixels.shape[2:]) == 2048 and same is scan and small.visible is not None
    assert small.visible.shape[2:] == small.pixels.shape[2:]
    (found, _), (wanted, _) = small.at(512), scan.at(512)
    assert (found - resize(wanted, *found.shape[2:])).abs().mean() < 1 / 255


def test_transparent_parts_of_a_picture_are_no_style(coffee: Picture) -> None:
    """Its statistics are those of the opaque picture within the disc; hidden colours are in none of them."""
    alpha, extractor = (
        disc(256, 384, 100),
        Extractor(registry.load("compact"), dict.fromkeys(LAYERS, 1.0), (), levels=3),
    )
    black, red = (
        source.painting(Picture(torch.where(alpha > 0, coffee.pixels, torch.tensor(c).view(1, 3, 1, 1)), alpha))
        for c in ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0))
    )
    assert black.visible is not None
    assert torch.equal(black.pixels, red.pixels) and torch.equal(black.visible, red.visible)
    inside = coffee.pixels[0, :, alpha[0, 0] > 0].double().numpy()
    torch.testing.assert_close(black.colours.mean, torch.from_numpy(inside.mean(1)).float())
    torch.testing.assert_close(black.colours.covariance, torch.from_numpy(np.cov(inside)).float(), atol=1e-5, rtol=0)
    found, wanted = (extractor.statistics(*p)[0] for p in ((black.pixels, black.visible), (coffee.pixels, alpha)))
    for name in LAYERS:
        assert losses.wasserstein(found[name], wanted[name]) < 0.01  # against 0.4 with black for the ground


def test_a_transparent_margin_changes_nothing(coffee: Picture) -> None:
    alpha = F.pad(torch.ones(1, 1, 256, 384), (50, 9, 0, 77))
    wider = source.painting(Picture(F.pad(coffee.pixels, (50, 9, 0, 77), value=0.3), alpha))
    assert wider.visible is None and torch.equal(wider.pixels, coffee.pixels)


def test_a_style_of_a_picture_with_alpha_is_saved_as_what_can_be_seen(tmp_path: Path, coffee: Picture) -> None:
    alpha, files = disc(256, 384, 100), (tmp_path / "a.style", tmp_path / "b.style")
    for hidden, file in zip((0.0, 1.0), files, strict=True):
        source.save(Picture(torch.where(alpha > 0, coffee.pixels, hidden), alpha), file)
    first, second = map(load_file, files)  # the recipes differ, by the hash of what was given
    assert all(torch.equal(first[name], second[name]) for name in first)
    inside = coffee.pixels[0, :, alpha[0, 0] > 0].mean(1)
    torch.testing.assert_close(source.load(files[0], CPU).colours.mean, inside, atol=1e-3, rtol=0)


@pytest.mark.parametrize("alpha", [0.0, 1 / 255, "a corner"])
def test_a_transparent_style_is_refused(tmp_path: Path, coffee: Picture, alpha: float | str) -> None:
    shown = torch.zeros(1, 1, 256, 384) if alpha == "a corner" else torch.full((1, 1, 256, 384), float(alpha))
    if alpha == "a corner":
        shown[..., :8, :30] = 1
    for use in (source.painting, lambda p: source.save(p, tmp_path / "x.style"), lambda p: stylize(coffee, p)):
        with pytest.raises(PictureError, match=r"^the style picture is (wholly transparent|too narrow at 30x8)"):
            use(Picture(coffee.pixels, shown))
    assert not list(tmp_path.iterdir())
