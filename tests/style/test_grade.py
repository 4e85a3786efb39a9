"""Looks after a reference: distributions that are known, masks, skin, scenes."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from scipy.stats import wasserstein_distance
from skimage import data
from torch import Tensor

from impasto.errors import SettingsError
from impasto.media import clip
from impasto.media.clip import Info
from impasto.media.lut import POINTS, Lut, identity
from impasto.media.picture import Picture
from impasto.style.colour import from_oklab, oklab
from impasto.style.grade import Job, Progress, colours_of, graded, grading, look_of, skin, smooth, transported
from impasto.style.settings import GradeSettings


def picture(array: object, height: int = 120, width: int = 160) -> Tensor:
    return torch.from_numpy(array).permute(2, 0, 1)[None, :, :height, :width].float() / 255  # type: ignore[arg-type]


CAT, COFFEE, ROCKET = (picture(photo()) for photo in (data.chelsea, data.coffee, data.rocket))


def apart(one: Tensor, other: Tensor) -> float:
    """Distance of two pictures' colours in Oklab, along 20 axes."""
    axes = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    ours, theirs = ((oklab(p)[0].flatten(1).T @ axes.T).numpy() for p in (one, other))
    return float(sum(wasserstein_distance(ours[:, i], theirs[:, i]) for i in range(20)) / 20)


def test_oklab_is_as_published() -> None:
    """Ottosson's table: white, and the three primaries of sRGB as CSS Color 4 gives them."""
    known = {
        (1, 1, 1): (1.0, 0.0, 0.0),
        (1, 0, 0): (0.627955, 0.224863, 0.125846),
        (0, 1, 0): (0.866440, -0.233888, 0.179498),
        (0, 0, 1): (0.452014, -0.032457, -0.311528),
    }
    for rgb, lab in known.items():
        found = oklab(torch.tensor(rgb).float().view(1, 3, 1, 1))
        torch.testing.assert_close(found.flatten(), torch.tensor(lab), atol=2e-5, rtol=0)
    torch.testing.assert_close(from_oklab(oklab(CAT)), CAT, atol=1e-4, rtol=0)


def test_a_colour_that_no_screen_has_keeps_lightness_and_hue() -> None:
    lab = torch.tensor([0.7, -0.3, 0.2]).view(1, 3, 1, 1)
    inside = from_oklab(lab)
    assert 0 <= inside.min() < 0.03 and inside.max() <= 1
    lightness, a, b = oklab(inside).flatten()
    assert lightness.item() == pytest.approx(0.7, abs=0.01)
    assert (b / a).item() == pytest.approx(0.2 / -0.3, rel=0.05)


def test_transport_gives_the_distribution_of_the_reference() -> None:
    draw = torch.Generator().manual_seed(1)
    found = torch.rand(4000, 3, generator=draw)
    wanted = torch.cat([0.1 * torch.randn(1000, 3, generator=draw), 1 + 0.3 * torch.rand(3000, 3, generator=draw)])
    moved = transported(found, wanted)
    for axis in range(3):
        assert wasserstein_distance(moved[:, axis], wanted[:, axis]) < 0.01
    assert ((moved.mean(1) < 0.5).float().mean() - 0.25).abs() < 0.02  # a quarter in the small cluster


def test_the_field_is_smooth_and_near_what_is_wanted() -> None:
    """A bend that a table can have comes back; noise on it goes; where nothing is known the other field is."""
    draw = torch.Generator().manual_seed(1)
    colours = 0.2 + 0.4 * torch.rand(5000, 3, generator=draw)
    bend = 0.1 * torch.sin(4 * colours)
    noisy = bend + 0.1 * torch.randn(5000, 3, generator=draw)
    elsewhere = torch.full((17**3, 3), 0.3)
    field = smooth(rows_of_oklab(colours), noisy, elsewhere).view(17, 17, 17, 3)
    found = Lut(field.clamp(0, 1))(colours.T[None, :, None])[0, :, 0].T
    assert (found - bend).square().mean().sqrt() < 0.02
    assert (field[-1, -1, -1] - 0.3).abs().max() < 0.5


def rows_of_oklab(colours: Tensor) -> Tensor:
    return oklab(colours.T[None, :, None])[0, :, 0].T


@pytest.mark.parametrize("method", ["transport", "monge"])
@pytest.mark.parametrize(("photo", "reference"), [(CAT, COFFEE), (COFFEE, ROCKET), (ROCKET, CAT)])
def test_the_colours_come_near_the_reference(photo: Tensor, reference: Tensor, method: str) -> None:
    result, _ = graded(Job(source=Picture(photo), reference=Picture(reference), method=method))
    assert apart(result.pixels, reference) < (0.35 if method == "transport" else 0.5) * apart(photo, reference)


def test_monge_gives_mean_and_spread() -> None:
    found, wanted = (0.05 * torch.randn(3000, 3) @ torch.randn(3, 3) + torch.tensor([c, 0.0, 0.0]) for c in (0.5, 0.6))
    look = look_of(found, wanted, GradeSettings(method="monge"))
    moved = rows_of_oklab(look(from_oklab(found.T[None, :, None]))[0, :, 0].T)
    assert (moved.mean(0) - wanted.mean(0)).abs().max() < 0.02


def test_a_picture_after_itself_stays() -> None:
    for method in ("transport", "monge"):
        result, _ = graded(Job(source=Picture(COFFEE), reference=Picture(COFFEE), method=method))
        assert (result.pixels - COFFEE).abs().mean() < 1 / 255


def test_strength_nothing_is_the_picture_and_half_is_between() -> None:
    job = {"source": Picture(CAT), "reference": Picture(ROCKET)}
    none, half, whole = (graded(Job(**job, strength=s))[0].pixels for s in (0.0, 0.5, 1.0))  # type: ignore[arg-type]
    torch.testing.assert_close(none, CAT, atol=2e-3, rtol=0)
    assert 0.3 < ((half - CAT).abs().mean() / (whole - CAT).abs().mean()) < 0.7


def test_no_bands_appear() -> None:
    """Along a ramp of all greys, what comes out has no step larger than the slopes of the table allow."""
    ramp = torch.linspace(0, 1, 1024).expand(1, 3, 8, -1)
    for reference in (COFFEE, ROCKET):
        result, look = graded(Job(source=Picture(CAT), reference=Picture(reference)))
        slopes = sum(look.table.diff(dim=axis).abs().max() for axis in range(3)) * (POINTS - 1)
        assert look(ramp).diff(dim=3).abs().max() <= slopes / 1023
        assert look(ramp).diff(dim=3).abs().max() < 3 / 255  # a step of four levels of a picture of 256 becomes three
        assert result.pixels.unique().numel() > 200


def test_grain_does_not_grow() -> None:
    """A flat sky with the noise of a camera keeps about its noise."""
    sky = torch.tensor([0.35, 0.5, 0.75]).view(1, 3, 1, 1) + torch.linspace(-0.1, 0.1, 160)
    noisy = sky.expand(1, 3, 120, -1) + 0.01 * torch.randn(1, 3, 120, 160, generator=torch.Generator().manual_seed(0))
    photo = torch.cat([noisy.clamp(0, 1), CAT], 2)
    result, _ = graded(Job(source=Picture(photo), reference=Picture(COFFEE)))
    grain = [(p[:, :, :120] - p[:, :, :120].mean(2, keepdim=True)).std() for p in (photo, result.pixels)]
    assert grain[1] < 3 * grain[0]


def test_skin_is_found_and_left() -> None:
    tones = ["f1c9a5", "e0ac69", "c68642", "8d5524", "5c3a21"]  # from light to deep
    others = ["3a6ea5", "2e8b57", "808080", "ffffff", "000000", "ff0000", "800080"]
    colours = torch.tensor([[int(tone[i : i + 2], 16) for i in (0, 2, 4)] for tone in (*tones, *others)]) / 255
    found = skin(rows_of_oklab(colours))
    assert found[:5].min() > 0.5 and found[5:].max() < 0.1
    look = look_of(colours_of(CAT), colours_of(ROCKET), GradeSettings(skin=1))
    free = look_of(colours_of(CAT), colours_of(ROCKET), GradeSettings())
    moved = [(one(colours.T[None, :, None])[0, :, 0].T - colours).abs().mean(1) for one in (look, free)]
    assert moved[0][:5].mean() < 0.5 * moved[1][:5].mean() and moved[1][:5].mean() > 0.05


def test_a_mask_says_what_changes_and_what_is_looked_at() -> None:
    mask = torch.zeros(1, 3, 120, 160)
    mask[..., :80] = 1
    both = torch.cat([CAT[..., :80], ROCKET[..., 80:]], 3)
    result, _ = graded(Job(source=Picture(both), reference=Picture(COFFEE), mask=Picture(mask)))
    assert torch.equal(result.pixels[..., 80:], both[..., 80:])
    assert apart(result.pixels[..., :80], COFFEE) < 0.4 * apart(both[..., :80], COFFEE)
    there, _ = graded(Job(source=Picture(CAT), reference=Picture(both), reference_mask=Picture(1 - mask)))
    assert apart(there.pixels, ROCKET[..., 80:]) < 0.5 * apart(CAT, ROCKET[..., 80:])
    with pytest.raises(SettingsError, match="empty"):
        graded(Job(source=Picture(CAT), reference=Picture(COFFEE), mask=Picture(0 * mask)))


def test_what_is_transparent_is_not_looked_at_and_stays_so() -> None:
    alpha = torch.ones(1, 1, 120, 160)
    alpha[..., 80:] = 0
    hidden = torch.cat([CAT[..., :80], ROCKET[..., 80:]], 3)
    result, _ = graded(Job(source=Picture(hidden, alpha), reference=Picture(COFFEE)))
    alone, _ = graded(Job(source=Picture(hidden[..., :80]), reference=Picture(COFFEE)))
    assert result.alpha is alpha
    assert (result.pixels[..., :80] - alone.pixels).abs().mean() < 2 / 255


def test_a_job_has_a_reference_or_a_look() -> None:
    for wrong in ({}, {"reference": Picture(CAT), "look": "a.cube"}, {"look": "a.cube", "skin": 0.5}):
        with pytest.raises(SettingsError):
            graded(Job(source=Picture(CAT), **wrong))  # type: ignore[arg-type]


@pytest.fixture
def two_scenes(tmp_path: Path) -> Path:
    """Six frames of a cat, then six of a cup; the camera moves by a pixel a frame."""
    cat, cup = (picture(photo(), 300, 400) for photo in (data.chelsea, data.coffee))
    with clip.write(tmp_path / "frames", Info(128, 96, Fraction(12)), bits=16) as out:
        for number in range(12):
            shot = cat if number < 6 else cup
            out.add(shot[..., 100:196, 100 + number : 228 + number], Fraction(number, 12))
    return tmp_path / "frames"


def test_a_clip_has_a_look_for_each_scene_which_stays(two_scenes: Path, tmp_path: Path) -> None:
    job = Job(source=two_scenes, reference=Picture(ROCKET))
    steps = list(grading(job, tmp_path / "out", bits=16))
    looks, frames = [s for s in steps if isinstance(s, Lut)], [s for s in steps if isinstance(s, Progress)]
    assert len(looks) == 2 and [f.number for f in frames] == list(range(1, 13))
    before, after = ([f.pixels for f in clip.read(two)] for two in (two_scenes, tmp_path / "out"))
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        torch.testing.assert_close(looks[number // 6](one), other, atol=1e-4, rtol=0)
    assert apart(after[0], ROCKET) < 0.5 * apart(before[0], ROCKET)
    assert apart(after[11], ROCKET) < 0.5 * apart(before[11], ROCKET)


def test_one_look_for_all_scenes_can_be_kept(two_scenes: Path, tmp_path: Path) -> None:
    steps = list(grading(Job(source=two_scenes, reference=Picture(ROCKET)), tmp_path / "out", one_look=True))
    (look,) = (s for s in steps if isinstance(s, Lut))
    look.save(tmp_path / "look.cube")
    again = Job(source=two_scenes, look=tmp_path / "look.cube")
    list(grading(again, tmp_path / "again"))
    pairs = zip(clip.read(tmp_path / "out"), clip.read(tmp_path / "again"), strict=True)
    assert all((one.pixels - other.pixels).abs().max() < 1.1 / 255 for one, other in pairs)


def test_a_clip_that_was_stopped_goes_on_as_it_would_have(two_scenes: Path, tmp_path: Path) -> None:
    job = Job(source=two_scenes, reference=Picture(ROCKET))
    list(grading(job, tmp_path / "whole.mkv", crf=0))
    stopped = grading(job, tmp_path / "parts.mkv", crf=0)
    for step in stopped:
        if isinstance(step, Progress) and step.number == 8:
            break
    stopped.close()  # type: ignore[attr-defined]
    numbers = [s.number for s in grading(job, tmp_path / "parts.mkv", crf=0, resume=True) if isinstance(s, Progress)]
    assert numbers == [9, 10, 11, 12]
    whole, parts = ([f.pixels for f in clip.read(tmp_path / name)] for name in ("whole.mkv", "parts.mkv"))
    assert len(whole) == len(parts) == 12
    assert all((one - other).abs().max() < 2 / 255 for one, other in zip(whole, parts, strict=True))


def test_the_table_of_no_change_changes_nothing() -> None:
    torch.testing.assert_close(Lut(identity())(CAT), CAT, atol=1e-6, rtol=0)
