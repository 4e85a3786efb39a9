"""Clips in the manner of pictures: steady, true to their mask and their times, and resumed where they stopped."""

import dataclasses
import shutil
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from skimage import data
from torch import Tensor

from impasto import provenance
from impasto.errors import ClipError, ImpastoError, ImpastoWarning, SettingsError
from impasto.evaluation.flicker import known, moving_photograph, warping_error
from impasto.media import clip as clips
from impasto.media.picture import Picture, read, resize
from impasto.style import video
from impasto.style.settings import QUALITIES, Settings
from impasto.style.source import save
from impasto.style.stylize import stylize
from impasto.style.video import Job, TimedStyle, preview, stylizing

WIDTH, HEIGHT = 112, 80
DRAFT = Settings(quality="draft", precision="float32")


def photo(pixels: "object") -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def coffee() -> Picture:
    return Picture(resize(photo(data.coffee()), 140, 180))


@pytest.fixture(scope="module")
def rocket() -> Picture:
    return Picture(resize(photo(data.rocket()), 140, 180))


@pytest.fixture(scope="module")
def still() -> Tensor:
    return resize(photo(data.astronaut())[..., :366, :], HEIGHT, WIDTH)


def folder(path: Path, frames: Iterable[Tensor]) -> Path:
    """A clip without loss, so that nothing but the painting is measured."""
    path.mkdir()
    for number, frame in enumerate(frames):
        Picture(frame).save(path / f"{number:03}.png", metadata=False)
    return path


def painted(job: Job, settings: Settings = DRAFT) -> list[Tensor]:
    return [progress.pixels for progress in stylizing(job, settings)]


def pan(count: int, noise: float = 0.0) -> tuple[list[Tensor], list[Tensor]]:
    """Frames of a camera that moves over a photograph, and the true flow of each to the one before."""
    draw = torch.Generator().manual_seed(0)
    moves = moving_photograph(photo(data.astronaut()), count, pan=(1.5, 0.5), zoom=1.0, size=(WIDTH, HEIGHT))
    frames, flows = zip(*moves, strict=True)
    noisy = [(f + noise * torch.randn(f.shape, generator=draw)).clamp(0, 1) for f in frames]
    return noisy, list(flows[1:])


def test_every_frame_is_painted_at_its_own_time(tmp_path: Path, coffee: Picture, still: Tensor) -> None:
    source = tmp_path / "source.mp4"
    times = [Fraction(n, 10) for n in (0, 1, 2, 5, 6)]
    with clips.write(source, clips.Info(WIDTH, HEIGHT, Fraction(10), variable=True)) as out:
        for number, time in enumerate(times):
            out.add(still.roll(2 * number, 3), time)
    records = list(stylizing(Job(source, [TimedStyle(coffee)], tmp_path / "out.mp4"), DRAFT))
    assert [record.number for record in records] == [1, 2, 3, 4, 5]
    result = clips.read(tmp_path / "out.mp4")
    assert (result.info.width, result.info.height) == (WIDTH, HEIGHT)
    frames = list(result)
    assert [frame.time for frame in frames] == times
    for frame, record in zip(frames, records, strict=True):
        assert (frame.pixels - record.pixels).abs().mean() < 0.03  # what H.264 loses
    colours = frames[0].pixels.mean((2, 3)) - coffee.pixels.mean((2, 3))
    assert colours.norm() < (still.mean((2, 3)) - coffee.pixels.mean((2, 3))).norm() / 2
    recipe = provenance.parse(clips.read_xmp(tmp_path / "out.mp4"))["recipe"]
    assert recipe is not None and recipe["content"]["name"] == "source.mp4"
    assert set(recipe["weights"]) == {"anystyle", "compact"}


def test_a_steady_clip_flickers_less_than_half_as_much(tmp_path: Path, coffee: Picture) -> None:
    frames, flows = pan(8, noise=0.03)
    source = folder(tmp_path / "frames", frames)
    errors = []
    for steadiness in (0.0, 0.8):
        out = tmp_path / f"out{steadiness}.mp4"
        results = painted(Job(source, [TimedStyle(coffee)], out, steadiness=steadiness))
        errors.append(warping_error(results, known(flows)))
    assert errors[1] < errors[0] / 2


def test_strokes_stay_on_things_and_stay_sharp(tmp_path: Path, coffee: Picture) -> None:
    frames, flows = pan(8)
    source = folder(tmp_path / "frames", frames)
    errors, edges = [], []
    for steadiness in (0.0, 0.8):
        job = Job(source, [TimedStyle(coffee)], tmp_path / f"out{steadiness}.mp4", steadiness=steadiness)
        results = painted(job)
        errors.append(warping_error(results, known(flows)))
        edges.append(results[-1].diff(dim=3).abs().mean())
    assert errors[1] < 0.15 * errors[0]
    assert edges[1] > 0.55 * edges[0]


def test_a_style_whose_turn_is_over_leaves_nothing(
    tmp_path: Path, coffee: Picture, rocket: Picture, still: Tensor
) -> None:
    source = folder(tmp_path / "frames", [still] * 40)
    turns = [TimedStyle(coffee, 0.0), TimedStyle(rocket, 0.5)]
    found = painted(Job(source, turns, tmp_path / "turns.mp4", fade=0.2))
    (wanted,) = painted(Job(folder(tmp_path / "one", [still]), [TimedStyle(rocket)], tmp_path / "one.mp4"))
    assert (found[-1] - wanted).abs().mean() < 0.1 * (found[0] - wanted).abs().mean()


def test_what_changes_gets_other_strokes(tmp_path: Path, coffee: Picture, still: Tensor) -> None:
    """Nothing moves, but the light on one half: strokes that no longer fit do not stay."""
    lit = still.clone()
    lit[..., WIDTH // 2 :] = 1 - lit[..., WIDTH // 2 :]
    job = Job(folder(tmp_path / "frames", [still, *[lit] * 12]), [TimedStyle(coffee)], tmp_path / "out.mp4")
    alone = Job(folder(tmp_path / "alone", [lit]), [TimedStyle(coffee)], tmp_path / "alone.mp4")
    (wanted,), found = painted(alone), painted(job)
    half = slice(WIDTH // 2 + 16, None)
    before = (found[0] - wanted)[..., half].abs().mean()
    assert (found[-1] - wanted)[..., half].abs().mean() < 0.6 * before


def test_long_clips_neither_darken_nor_blur(tmp_path: Path, coffee: Picture) -> None:
    moves, _ = pan(5)
    there_and_back = [*moves, *moves[-2:0:-1]] * 4
    results = painted(Job(folder(tmp_path / "frames", there_and_back), [TimedStyle(coffee)], tmp_path / "out.mp4"))
    early, late = torch.cat(results[8:16]), torch.cat(results[24:])  # the same frames of the source, two rounds later
    torch.testing.assert_close(late.mean((0, 2, 3)), early.mean((0, 2, 3)), atol=5e-3, rtol=0)
    edges = [picture.diff(dim=3).square().mean() for picture in (early, late)]
    assert edges[1] > 0.95 * edges[0]


def test_nothing_is_carried_over_a_cut(tmp_path: Path, coffee: Picture, rocket: Picture, still: Tensor) -> None:
    other = resize(photo(data.chelsea()), HEIGHT, WIDTH)
    results = painted(Job(folder(tmp_path / "two", [still, still, other]), [TimedStyle(coffee)], tmp_path / "two.mp4"))
    (alone,) = painted(Job(folder(tmp_path / "one", [other]), [TimedStyle(coffee)], tmp_path / "one.mp4"))
    torch.testing.assert_close(results[2], alone)


def test_styles_take_turns_and_fade(tmp_path: Path, coffee: Picture, rocket: Picture, still: Tensor) -> None:
    source = folder(tmp_path / "frames", [still] * 9)
    styles = [TimedStyle(rocket, 1.0), TimedStyle(coffee, 0.0)]  # in any order
    turns = painted(Job(source, styles, tmp_path / "a.mp4", rate=4, fade=0.5, steadiness=0))
    first, second = (
        painted(Job(source, [TimedStyle(one)], tmp_path / f"{i}.mp4", rate=4, end=0.25))[0]
        for i, one in enumerate((coffee, rocket))
    )
    torch.testing.assert_close(turns[4], first, atol=1e-4, rtol=0)  # at 1 s it begins
    torch.testing.assert_close(turns[6], second, atol=1e-4, rtol=0)  # at 1.5 s it is over
    between = (turns[5] - first).square().mean(), (turns[5] - second).square().mean()
    assert max(between) < (first - second).square().mean() and min(between) > 0


def test_a_mask_may_be_a_picture_or_a_clip(tmp_path: Path, coffee: Picture, still: Tensor) -> None:
    frames = [still] * 3
    source = folder(tmp_path / "frames", frames)
    halves = []
    for side in (slice(0, 56), slice(56, 112)):
        white = torch.zeros(1, 3, HEIGHT, WIDTH)
        white[..., side] = 1
        halves.append(white)
    Picture(halves[0]).save(tmp_path / "mask.png", metadata=False)
    moving = folder(tmp_path / "masks", [halves[0], halves[1]])  # shorter than the clip: its last frame stays
    for mask, shown in ((tmp_path / "mask.png", (0, 0, 0)), (moving, (0, 1, 1))):
        results = painted(Job(source, [TimedStyle(coffee)], tmp_path / f"{mask.stem}.mp4", mask=mask))
        for result, which in zip(results, shown, strict=True):
            outside = halves[1 - which][:, :1] > 0
            torch.testing.assert_close(result * outside, still * outside, atol=0.003, rtol=0)  # 8 bits
            assert ((result - still) * ~outside).abs().mean() > 0.01


def timed(path: Path, times: Iterable[Fraction], levels: Iterable[float], last: Fraction | None = None) -> Path:
    """A grey clip whose frames begin at `times`."""
    with clips.write(path, clips.Info(32, 32, Fraction(25), variable=True)) as out:
        for time, level in zip(times, levels, strict=True):
            out.add(torch.full((1, 3, 32, 32), level), time, duration=last)
    return path


STEADY = [Fraction(i, 25) for i in range(20)]
VARYING = [Fraction(n, 100) for n in (0, 3, 4, 11, 12, 30, 33, 34, 61, 62, 70, 72, 75)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("content", "mask"), [(VARYING, STEADY), (STEADY, VARYING), (VARYING, VARYING)])
@pytest.mark.parametrize(
    "asked", [{}, {"start": 0.32}, {"start": 0.25, "end": 0.5}, {"fps": 10}, {"start": 0.3, "fps": 50}]
)
def test_a_frame_gets_the_mask_that_is_on_screen_then(
    tmp_path: Path, content: list[Fraction], mask: list[Fraction], asked: dict[str, float], suffix: str
) -> None:
    source = timed(tmp_path / f"source{suffix}", content, [0.5] * len(content))
    masks = timed(tmp_path / f"mask{suffix}", mask, [i / 20 for i in range(len(mask))])
    job = Job(source, [], tmp_path / "out.mp4", mask=masks, **asked)  # type: ignore[arg-type]
    clip = clips.read(source, start=job.start, end=job.end, fps=job.fps)
    pairs = list(video._masked(job, clip))
    assert len(pairs) == len(list(clip)) > 2
    for frame, found in pairs:
        then = frame.time + Fraction(job.start or 0).limit_denominator(100)
        wanted = max(i for i, time in enumerate(mask) if time <= then + Fraction(1, 900))
        assert found is not None and round(float(found.mean()) * 20) == wanted


def test_a_mask_that_is_over_holds_its_last_frame(tmp_path: Path) -> None:
    source = timed(tmp_path / "source.mp4", STEADY, [0.5] * 20)
    masks = timed(tmp_path / "mask.mp4", STEADY[:5], [0.0, 0.0, 0.0, 0.0, 1.0])
    job = Job(source, [], tmp_path / "out.mp4", mask=masks, start=0.4)
    pairs = list(video._masked(job, clips.read(source, start=0.4)))
    assert [round(float(mask.mean())) for _, mask in pairs if mask is not None] == [1] * 10


def test_a_folder_of_masks_goes_frame_by_frame(tmp_path: Path) -> None:
    source = timed(tmp_path / "source.mp4", VARYING, [0.5] * len(VARYING))
    masks = folder(tmp_path / "masks", [torch.full((1, 3, 32, 32), i / 20) for i in range(len(VARYING))])
    pairs = list(video._masked(Job(source, [], tmp_path / "out.mp4", mask=masks), clips.read(source)))
    assert [round(float(mask.mean()) * 20) for _, mask in pairs if mask is not None] == list(range(len(VARYING)))


@pytest.mark.parametrize(
    ("kept", "settings"),
    [(2, DRAFT), (1000, DRAFT), (2, Settings(quality="fine", precision="float32", colour="luminance"))],
)
def test_an_interrupted_run_goes_on_as_if_it_never_was(
    tmp_path: Path, coffee: Picture, rocket: Picture, settings: Settings, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "KEPT_EVERY", kept)  # 1000: nothing was kept, as of a run that ended early
    monkeypatch.setattr(video, "REFINING", 3)
    monkeypatch.setitem(QUALITIES, "fine", dataclasses.replace(QUALITIES["fine"], steps=(3,)))
    source = folder(tmp_path / "frames", pan(7)[0])
    styles = [TimedStyle(coffee, 0), TimedStyle(rocket, 3 / 24)]  # which fade over where the run is stopped
    job = Job(source, styles, tmp_path / "out", fade=2 / 24, resume=True)
    whole = painted(dataclasses.replace(job, output=tmp_path / "whole"), settings)
    run = stylizing(job, settings)
    for _ in range(4):
        next(run)
    run.close()  # type: ignore[attr-defined]
    state = job.output / ".frame_%05d.png.state"
    assert state.exists() == (kept == 2)
    rest = painted(job, settings)
    assert len(rest) == 3 and all(torch.equal(*pair) for pair in zip(rest, whole[4:], strict=True))
    assert not state.exists() and painted(job, settings) == []


def test_a_run_that_is_resumed_twice_leaves_one_film(tmp_path: Path, coffee: Picture) -> None:
    source = folder(tmp_path / "frames", pan(5)[0])
    job = Job(source, [TimedStyle(coffee)], tmp_path / "out.mp4", resume=True)
    for done in (2, 3):
        run = stylizing(job, DRAFT)
        next(run)
        if done == 2:
            next(run)
        run.close()  # type: ignore[attr-defined]
        assert not job.output.exists() and len(list(clips.read(tmp_path / "out.partial.mp4"))) == done
    assert len(painted(job)) == 2 and len(list(clips.read(job.output))) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames", "out.mp4"]


def test_a_damaged_state_costs_time_only(tmp_path: Path, coffee: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "KEPT_EVERY", 1)
    source = folder(tmp_path / "frames", pan(4)[0])
    job = Job(source, [TimedStyle(coffee)], tmp_path / "out", resume=True)
    whole = painted(dataclasses.replace(job, output=tmp_path / "whole"))
    for left in (b"", b"no state", bytes(100)):
        shutil.rmtree(job.output, ignore_errors=True)
        run = stylizing(job, DRAFT)
        next(run), next(run)
        run.close()  # type: ignore[attr-defined]
        (job.output / ".frame_%05d.png.state").write_bytes(left)
        with pytest.warns(ImpastoWarning, match="is damaged"):
            rest = painted(job)
        assert len(rest) == 2 and all(torch.equal(*pair) for pair in zip(rest, whole[2:], strict=True))


def test_fine_frames_follow_the_one_before(tmp_path: Path, coffee: Picture) -> None:
    frames, flows = pan(3)
    source = folder(tmp_path / "frames", frames)
    settings = Settings(quality="fine", precision="float32")
    errors = []
    for steadiness in (0.0, 0.8):
        job = Job(source, [TimedStyle(coffee)], tmp_path / f"{steadiness}.mp4", steadiness=steadiness)
        errors.append(warping_error(painted(job, settings), known(flows)))
    assert errors[1] < errors[0] / 2


def test_the_first_frame_is_painted_as_a_picture_is(
    tmp_path: Path, coffee: Picture, still: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUALITIES, "fine", dataclasses.replace(QUALITIES["fine"], steps=(3,)))
    source = folder(tmp_path / "frames", [still])
    saved = tmp_path / "a.style"
    save(coffee, saved)
    old = tmp_path / "old.style"  # as version 0.2 wrote it: without the pixels that points are taken of
    with safe_open(saved, "pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys() if name != "pixels"}  # noqa: SIM118
        save_file(kept, old, file.metadata())
    for style in (coffee, saved, old):
        job = Job(source, [TimedStyle(style)], tmp_path / "out")
        (clip,) = painted(job, Settings(quality="fine", precision="float32"))
        alone = stylize(source / "000.png", style, quality="fine", precision="float32", size=max(still.shape[2:]))
        torch.testing.assert_close(clip, alone.pixels, atol=1e-4, rtol=0)
        shutil.rmtree(tmp_path / "out")


def test_luminance_keeps_the_colours_of_the_clip(tmp_path: Path, coffee: Picture, still: Tensor) -> None:
    from skimage.color import rgb2lab

    settings = Settings(quality="draft", colour="luminance")
    (result,) = painted(Job(folder(tmp_path / "f", [still]), [TimedStyle(coffee)], tmp_path / "o.mp4"), settings)
    found, wanted = (rgb2lab(p[0].permute(1, 2, 0).numpy())[..., 1:] for p in (result, still))
    assert abs(found - wanted).mean() < 3  # where lightness leaves room for them


def test_a_preview_shows_frames_above_what_they_become(tmp_path: Path, coffee: Picture) -> None:
    frames, _ = pan(10)
    job = Job(folder(tmp_path / "frames", frames), [TimedStyle(coffee)], tmp_path / "out.mp4")
    strip = preview(job, DRAFT).pixels
    assert strip.shape == (1, 3, 2 * HEIGHT, 5 * WIDTH)
    torch.testing.assert_close(strip[..., :HEIGHT, 2 * WIDTH : 3 * WIDTH], frames[4], atol=0.01, rtol=0)
    assert not job.output.exists()


@pytest.mark.parametrize("suffix", [".gif", ".mp4", ".mkv"])
def test_a_preview_shows_what_is_on_screen_however_long_it_stands(tmp_path: Path, coffee: Picture, suffix: str) -> None:
    times = [Fraction(n, 1000) for n in (0, 100, 600, 800, 850)]
    source = timed(tmp_path / f"a{suffix}", times, [0.1, 0.3, 0.5, 0.7, 0.9], Fraction(3, 2))
    strip = preview(Job(source, [TimedStyle(coffee)], tmp_path / "out.mp4"), DRAFT).pixels
    last = Fraction("2.35") - 1 / clips.read(source).info.rate
    shown = [round(float(part.mean()), 1) for part in strip[:, :, :32].chunk(5, 3)]
    wanted = []
    for i in range(5):
        second = last * i / 5
        wanted.append([0.1, 0.3, 0.5, 0.7, 0.9][max(k for k, time in enumerate(times) if time <= second)])
    assert shown == wanted


def test_one_frame_is_a_clip_too(tmp_path: Path, coffee: Picture, still: Tensor) -> None:
    painted(Job(folder(tmp_path / "frames", [still]), [TimedStyle(coffee)], tmp_path / "out"))
    assert read(tmp_path / "out" / "frame_00001.png").pixels.shape == (1, 3, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("job", "settings", "kind", "message"),
    [
        ({}, {"quality": "gallery"}, SettingsError, "quality draft or fine, not 'gallery'"),
        ({}, {"quality": "draft", "colour": "histogram"}, SettingsError, "style or luminance, not 'histogram'"),
        ({"steadiness": 1.0}, {"quality": "draft"}, SettingsError, "steadiness goes from 0"),
        ({"fade": -1.0}, {"quality": "draft"}, SettingsError, "fade goes from 0 "),
        ({"styles": []}, {"quality": "draft"}, SettingsError, "at least one style"),
        ({"clip": "nowhere.mp4"}, {"quality": "draft"}, ClipError, "nowhere.mp4 does not exist"),
        ({"start": 99.0}, {"quality": "draft"}, ClipError, "has no frame from 99 s on"),
        ({"output": Path("out.xyz")}, {"quality": "draft"}, ClipError, "a clip is"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    job: dict[str, object],
    settings: dict[str, str],
    kind: type[ImpastoError],
    message: str,
    tmp_path: Path,
    coffee: Picture,
    still: Tensor,
) -> None:
    given = {
        "clip": folder(tmp_path / "f", [still]),
        "styles": [TimedStyle(coffee)],
        "output": tmp_path / "out.mp4",
    } | job
    with pytest.raises(kind, match=message) as refusal:
        painted(Job(**given), Settings(**settings))  # type: ignore[arg-type]
    assert "\n" not in str(refusal.value)


def test_styles_all_have_seconds_or_none_has(tmp_path: Path, coffee: Picture, still: Tensor) -> None:
    job = Job(folder(tmp_path / "f", [still]), [TimedStyle(coffee, 0.0), TimedStyle(coffee)], tmp_path / "out.mp4")
    with pytest.raises(SettingsError, match="give every style its second, or none"):
        painted(job)


def test_frames_that_are_planned_ahead_become_the_same(
    tmp_path: Path, coffee: Picture, still: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [still.roll((i, 2 * i), (2, 3)) for i in range(5)] + [still.flip(3)] * 2  # and a cut
    source, threads = folder(tmp_path / "f", frames), torch.get_num_threads()
    torch.set_num_threads(1)  # sums of several threads are rounded in another way
    try:
        for name in ("ahead", "in turn"):
            job = Job(source, [TimedStyle(coffee)], tmp_path / name / "%02d.png")
            job.output.parent.mkdir()
            painted(job)
            monkeypatch.setattr(video, "ahead", iter)
    finally:
        torch.set_num_threads(threads)
    ahead, in_turn = (
        [file.read_bytes() for file in sorted((tmp_path / name).glob("*.png"))] for name in ("ahead", "in turn")
    )
    assert len(ahead) == 7 and ahead == in_turn


def test_content_statistics_run_along_smoothly(tmp_path: Path, coffee: Picture, still: Tensor) -> None:
    frames = [still * level for level in (1.0, 0.8, 1.0, 0.8, 1.0, 0.8)]  # a lamp that flickers
    job = Job(folder(tmp_path / "f", frames), [TimedStyle(coffee)], tmp_path / "out.mp4")
    clip = clips.read(job.clip)
    painter, means = video._Painter(job, DRAFT, clip), []
    for frame in clip:
        painter.plan(frame)
        assert painter.content is not None
        means.append(painter.content["pixels"].mean.mean().item())
    steps = [abs(b - a) for a, b in pairwise(means)]
    assert max(steps) < 0.11 * 0.2 * still.mean().item()


@pytest.mark.parametrize("quality", ["draft", "fine"])
def test_what_is_transparent_in_a_frame_counts_for_nothing(
    tmp_path: Path, coffee: Picture, still: Tensor, quality: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUALITIES, "fine", dataclasses.replace(QUALITIES["fine"], steps=(12,)))
    monkeypatch.setattr(video, "REFINING", 2)
    alpha = torch.zeros(1, 1, HEIGHT, WIDTH)
    alpha[..., 20:70, 30:90] = 1
    results = []
    for name, hidden in (("black", 0.0), ("white", 1.0)):
        source = tmp_path / name
        source.mkdir()
        for number in range(3):
            shown = torch.zeros_like(alpha) if number == 0 else alpha.roll(number, 3)  # it fades in from nothing
            Picture(torch.where(shown > 0, still, hidden), shown).save(source / f"{number}.png")
        results.append(painted(Job(source, [TimedStyle(coffee)], tmp_path / f"{name}_out"), Settings(quality=quality)))
    for black, white in zip(*results, strict=True):
        assert torch.equal(black, white)
    seen = (alpha.roll(2, 3) > 0)[0, 0]
    colours = results[0][2][0, :, seen].mean(1) - coffee.pixels.mean((0, 2, 3))
    assert colours.norm() < (still[0, :, seen].mean(1) - coffee.pixels.mean((0, 2, 3))).norm() / 2
    second = sorted((tmp_path / "black_out").iterdir())[1]
    kept = read(second).alpha
    assert kept is not None and torch.equal(kept, alpha.roll(1, 3))
