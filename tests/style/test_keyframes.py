"""Painted key frames: they come back as they are, and their strokes stay on things, forwards, backwards, over cuts."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from skimage import data
from torch import Tensor

from impasto.errors import ImpastoError, ImpastoWarning, SettingsError
from impasto.evaluation.flicker import moving_photograph
from impasto.media import clip as clips
from impasto.media.inspect import inspect
from impasto.media.picture import Picture, read, resize
from impasto.style import keyframes
from impasto.style.keyframes import KeyFrame, begun, keys_of
from impasto.style.settings import Settings
from impasto.style.video import Job, TimedStyle, preview, stylizing

WIDTH, HEIGHT, FRAMES = 112, 80, 12
PAN = (2, 1)  # pixels a frame
DRAFT = Settings(quality="draft", precision="float32")
Scene = tuple[list[Tensor], list[Tensor]]


def photo(pixels: "object", height: int, width: int) -> Tensor:
    whole = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255  # type: ignore[arg-type]
    return resize(whole, height, width)


def painted_over(scene: Tensor) -> Tensor:
    """Smooth strokes of other colours, which have nothing of the scene in them, nor it of them."""
    noise = torch.rand(1, 3, 20, 27, generator=torch.Generator().manual_seed(1))
    return resize(noise, *scene.shape[2:])


@pytest.fixture(scope="module")
def panned() -> Scene:
    """A camera moves over a photograph: its frames; and what it would see of a painting in its place."""
    scene = photo(data.coffee(), 150, 200)
    seen = [
        [frame for frame, _ in moving_photograph(whole, FRAMES, pan=PAN, zoom=1.0, size=(WIDTH, HEIGHT))]
        for whole in (scene, painted_over(scene))
    ]
    return seen[0], seen[1]


def folder(path: Path, frames: Iterable[Tensor]) -> Path:
    """A clip without loss, numbered from 1."""
    path.mkdir()
    for number, frame in enumerate(frames, 1):
        Picture(frame).save(path / f"{number:03}.png", bits=16, metadata=False)
    return path


def followed(job: Job, settings: Settings = DRAFT) -> list[Tensor]:
    return [at.pixels for at in stylizing(job, settings) if at.pixels is not None]


def away(one: Tensor, other: Tensor) -> float:
    """Mean difference, in 255ths."""
    return (one - other).abs().mean().item() * 255


def seen_in_both(number: int, key: int) -> tuple[slice, slice]:
    """Rows and columns of frame `number` that show what the frame of the key does, less a border."""
    right, down = (step * (number - key) for step in PAN)
    rows, columns = (slice(max(0, -by) + 8, side - max(0, by) - 8) for by, side in ((down, HEIGHT), (right, WIDTH)))
    return rows, columns


@pytest.mark.parametrize("key", [0, 5, FRAMES - 1])
def test_strokes_are_where_a_camera_would_see_them(tmp_path: Path, panned: Scene, key: int) -> None:
    """Before the key and after it. The truth is the painting, filmed."""
    frames, truth = panned
    job = Job(folder(tmp_path / "in", frames), [], tmp_path / "out", keys=[KeyFrame(Picture(truth[key]), key / 24)])
    found = followed(job)
    assert len(found) == FRAMES
    assert away(found[key], truth[key]) <= 2
    for number, frame in enumerate(found):
        rows, columns = seen_in_both(number, key)
        near, far = (
            away(frame[..., rows, columns], other[..., rows, columns]) for other in (truth[number], truth[key])
        )
        assert near < 8, number
        assert number == key or far > 3 * near


def test_what_no_key_shows_is_painted_in_the_manner_of_the_key(tmp_path: Path, panned: Scene) -> None:
    """At the border that the camera moves to, where there was nothing when the key was painted."""
    frames, _ = panned
    red = Picture(torch.tensor([0.9, 0.1, 0.1])[:, None, None].expand(1, 3, HEIGHT, WIDTH).clone())
    last = followed(Job(folder(tmp_path / "in", frames), [], tmp_path / "out", keys=[KeyFrame(red, 0)]))[-1]
    new = last[..., -PAN[0] * (FRAMES - 1) + 4 :]
    assert new[:, 0].mean() > 0.6
    assert new[:, 1:].mean() < 0.35


def test_between_two_keys_each_shows_near_itself(tmp_path: Path, panned: Scene) -> None:
    frames, truth = panned
    other = [1 - frame for frame in truth]
    keys = [KeyFrame(Picture(other[-1]), (FRAMES - 1) / 24), KeyFrame(Picture(truth[0]), 0)]  # in any order
    found = followed(Job(folder(tmp_path / "in", frames), [], tmp_path / "out", keys=keys))
    assert away(found[0], truth[0]) <= 2
    assert away(found[-1], other[-1]) <= 2
    for number, wanted in ((2, truth), (FRAMES - 3, other)):
        rows, columns = seen_in_both(number, 0 if wanted is truth else FRAMES - 1)
        assert away(found[number][..., rows, columns], wanted[number][..., rows, columns]) < 8


def test_a_key_is_not_followed_over_a_cut(tmp_path: Path, panned: Scene) -> None:
    frames, truth = panned
    other = [
        frame
        for frame, _ in moving_photograph(photo(data.rocket(), 120, 180), 4, pan=(1, 0), zoom=1.0, size=(WIDTH, HEIGHT))
    ]
    clip = folder(tmp_path / "in", [*other, *frames[:4], *other])
    at = list(stylizing(Job(clip, [], tmp_path / "out", keys=[KeyFrame(Picture(truth[0]), 4 / 24)]), DRAFT))
    shown = {a.number: a.keys for a in at if a.pixels is not None}
    assert [number for number, keys in shown.items() if keys] == [5, 6, 7, 8]
    assert {name for keys in shown.values() for name in keys} == {"the key frame"}
    assert [a.number for a in at if a.pixels is None] == [
        4,
        3,
        2,
        1,
    ]  # looked at, once, and found to be of another shot


def test_a_key_is_found_again_after_a_flash_or_another_shot(tmp_path: Path, panned: Scene) -> None:
    """Forwards, and back."""
    frames, truth = panned
    between = photo(data.rocket(), HEIGHT, WIDTH)
    for name, others in (("flash", [torch.ones_like(between)]), ("shot", [between, between])):
        clip = folder(tmp_path / name, [*frames[:5], *others, *frames[5:]])
        for key in (0, FRAMES - 1):
            at = key + (len(others) if key else 0)
            job = Job(clip, [], tmp_path / f"{name}{key}", keys=[KeyFrame(Picture(truth[key]), at / 24)])
            found = [a for a in stylizing(job, DRAFT) if a.pixels is not None]
            for number in (2, 9):
                rows, columns = seen_in_both(number, key)
                shown = found[number + (len(others) if number > 4 else 0)]
                assert shown.keys
                assert away(shown.pixels[..., rows, columns], truth[number][..., rows, columns]) < 10, (name, key)
            assert not found[5].keys


def test_what_fades_away_is_found_again(tmp_path: Path, panned: Scene) -> None:
    frames, truth = panned
    light = [1.0, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    clip = folder(tmp_path / "in", [frame * share for frame, share in zip(frames, light, strict=True)])
    found = list(stylizing(Job(clip, [], tmp_path / "out", keys=[KeyFrame(Picture(truth[0]), 0)]), DRAFT))
    assert not found[5].keys and not found[6].keys
    rows, columns = seen_in_both(11, 0)
    assert away(found[11].pixels[..., rows, columns], truth[11][..., rows, columns]) < 10


def test_a_key_between_two_ticks_lies_beside_its_own_frame(tmp_path: Path, panned: Scene) -> None:
    """At 5 frames a second of 24 nothing is seen of frame 8; its strokes are where its things are at the tick."""
    frames, truth = panned
    clip = folder(tmp_path / "in", frames)
    for key in (3, 8):
        job = Job(clip, [], tmp_path / f"out{key}", keys=[KeyFrame(Picture(truth[key]), key / 24)], fps=8)
        found = followed(job)
        for number, frame in zip((0, 3, 6, 9), found, strict=True):
            rows, columns = seen_in_both(number, key)
            assert away(frame[..., rows, columns], truth[number][..., rows, columns]) < 8, (key, number)


@pytest.mark.parametrize(
    ("clip", "key", "wanted"),
    [
        ("shot01_{:04}_v2", "shot01_0006_v2", 6),
        ("{:03}", "painted_006_v2", 6),
        ("{:03}", "006 (1)", 6),
        ("{:03}", "key 6", 6),
        ("shot.{:04}", "painted.0011", 11),
        ("{:03}", "v2_6", "the numbers of 2 frames"),
        ("{:03}", "v2_60", 2),
        ("{:03}", "nothing", "the number of no frame"),
    ],
)
def test_a_key_is_of_the_frame_whose_number_it_has(
    tmp_path: Path, panned: Scene, clip: str, key: str, wanted: int | str
) -> None:
    frames, truth = panned
    (tmp_path / "in").mkdir()
    for number, frame in enumerate(frames, 1):
        Picture(frame).save(tmp_path / "in" / f"{clip.format(number)}.png", metadata=False)
    Picture(truth[0]).save(tmp_path / f"{key}.png")
    read = clips.read(tmp_path / "in")
    if isinstance(wanted, str):
        with pytest.raises(SettingsError, match=wanted):
            keyframes.placed([KeyFrame(tmp_path / f"{key}.png")], read, 24, None, torch.device("cpu"))
    else:
        (placed,) = keyframes.placed([KeyFrame(tmp_path / f"{key}.png")], read, 24, None, torch.device("cpu"))
        assert placed.number == wanted


def test_keys_of_a_folder_that_are_cut_off_are_left_out(tmp_path: Path, panned: Scene) -> None:
    frames, truth = panned
    clip = folder(tmp_path / "in", frames)
    folder(tmp_path / "keys", [truth[0]])
    Picture(truth[8]).save(tmp_path / "keys" / "009.png")
    job = Job(clip, [], tmp_path / "out", keys=keys_of([(tmp_path / "keys", None)]), start=0.2, end=0.45)
    with pytest.warns(ImpastoWarning, match="001.png is of 0 s, before the cut"):
        found = followed(job)
    assert away(found[3], truth[8]) <= 2


def test_where_nothing_was_painted_the_clip_stays_as_it_is(tmp_path: Path, panned: Scene) -> None:
    """A mask, or alpha, is of the key's frame, and moves with what it lies on."""
    frames, truth = panned
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., 40:70, 40:90] = 1
    white = Picture(mask.expand(-1, 3, -1, -1).clone())
    clip = folder(tmp_path / "in", frames)
    masked = followed(Job(clip, [], tmp_path / "a", keys=[KeyFrame(Picture(truth[0]), 0, white)]))
    clear = followed(Job(clip, [], tmp_path / "b", keys=[KeyFrame(Picture(truth[0], mask), 0)]))
    for number in (0, 6):
        top, left = 40 - PAN[1] * number, 40 - PAN[0] * number
        inner = (slice(top + 4, top + 26), slice(left + 4, left + 46))
        assert away(masked[number][..., *inner], truth[number][..., *inner]) < 8
        assert away(masked[number][..., : top - 10, :], frames[number][..., : top - 10, :]) < 1
        assert away(masked[number], clear[number]) < 1


def test_chunks_do_not_show(tmp_path: Path, panned: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames before a key are followed a chunk at a time, the last chunk first."""
    frames, truth = panned
    job = Job(folder(tmp_path / "in", frames), [], tmp_path / "a", keys=[KeyFrame(Picture(truth[-1]), 11 / 24)])
    whole = followed(job)
    monkeypatch.setattr(keyframes, "CHUNK", 3)
    progress = list(stylizing(Job(job.clip, [], tmp_path / "b", keys=job.keys), DRAFT))
    for one, other in zip(whole, (at.pixels for at in progress if at.pixels is not None), strict=True):
        assert torch.equal(one, other)
    back = [at.number for at in progress if at.pixels is None]
    assert back[:11] == [*range(11, 0, -1)]
    assert sorted(back[11:]) == [*range(3, 12)]  # once more, as only what is needed is held


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path: Path, panned: Scene) -> None:
    frames, truth = panned
    clip = folder(tmp_path / "in", [*frames, *frames[::-1]])
    keys = [KeyFrame(Picture(truth[0]), 0), KeyFrame(Picture(1 - truth[5]), 17 / 24)]
    followed(Job(clip, [], tmp_path / "whole", keys=keys))
    run = stylizing(Job(clip, [], tmp_path / "cut", keys=keys), DRAFT)
    for at in run:
        if at.pixels is not None and at.number == 13:
            break
    run.close()
    followed(Job(clip, [], tmp_path / "cut", keys=keys, resume=True))
    whole, cut = (sorted((tmp_path / name).glob("*.png")) for name in ("whole", "cut"))
    assert len(whole) == len(cut) == 2 * FRAMES
    for one, other in zip(whole, cut, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_what_was_hidden_gets_its_own_strokes_back(panned: Scene) -> None:
    """Something passes before a still thing."""
    still = photo(data.coffee(), HEIGHT, WIDTH)
    ball = photo(data.rocket(), 30, 30)
    trace = begun(still)
    for left in (*range(-30, WIDTH, 6), WIDTH):
        frame = still.clone()
        part = slice(max(0, left), max(0, left + 30))
        frame[..., 25:55, part] = ball[..., max(0, -left) :][..., : frame[..., part].shape[3]]
        trace = trace.follow(frame)
        if left == 42:
            assert trace.trust[..., 30:50, 47:67].mean() < 0.3  # it is not of the key
    assert trace.trust.mean() > 0.9
    assert trace.way.abs().mean() < 0.5


def test_light_that_changes_is_no_other_thing() -> None:
    still = photo(data.coffee(), HEIGHT, WIDTH)
    trace = begun(still)
    for step in range(8):
        trace = trace.follow(still * (1 - 0.05 * step))
    assert trace.trust.mean() > 0.8
    assert trace.way.abs().mean() < 0.3


def test_where_nothing_is_to_be_seen_strokes_move_with_what_is_around() -> None:
    """Motion cannot be seen on a wall, and what a search finds in its grain would crumple the strokes there."""
    dice = torch.Generator().manual_seed(0)
    wall = torch.full((1, 3, 160, 200), 0.5)
    wall[..., :20, :] = wall[..., -20:, :] = resize(torch.rand(1, 3, 10, 100, generator=dice), 20, 200)
    seen = [
        (frame + 0.01 * torch.randn(frame.shape, generator=dice)).clamp(0, 1)
        for frame, _ in moving_photograph(wall, 30, pan=(1, 0), zoom=1.0, size=(160, 160))
    ]
    trace = begun(seen[0])
    for frame in seen[1:]:
        trace = trace.follow(frame)
    middle = trace.way[..., 30:-30, 10:-45]
    assert (middle[:, 0] - 29).abs().mean() < 2
    assert middle.diff(dim=3).abs().mean() < 0.1


def test_keys_come_from_a_folder_by_the_numbers_of_frames(tmp_path: Path, panned: Scene) -> None:
    """As EbSynth has them: a folder of frames, and one of those that were painted."""
    frames, truth = panned
    clip = folder(tmp_path / "in", frames)
    (tmp_path / "keys").mkdir()
    for number in (4, 9):
        Picture(truth[number - 1]).save(tmp_path / "keys" / f"painted_{number:03}.png")
    at = list(stylizing(Job(clip, [], tmp_path / "out", keys=keys_of([(tmp_path / "keys", None)]), rate=10), DRAFT))
    found = {a.number: a for a in at if a.pixels is not None}
    assert found[4].keys == ("painted_004.png",)
    assert found[9].keys == ("painted_009.png",)
    assert set(found[6].keys) == {"painted_004.png", "painted_009.png"}
    for number in (4, 9):
        assert away(found[number].pixels, truth[number - 1]) <= 2
    recipe = inspect(tmp_path / "out" / "frame_00001.png")["recipe"]
    assert [style["name"] for style in recipe["styles"]] == ["painted_004.png", "painted_009.png"]
    assert (recipe["settings"]["key 1 frame"], recipe["settings"]["key 2 frame"]) == (4, 9)


def test_the_second_of_a_key_is_the_clips_own(tmp_path: Path, panned: Scene) -> None:
    """Whatever is cut off before it, and at whatever rate it is shown."""
    frames, truth = panned
    clip = folder(tmp_path / "in", frames)
    for name, options in (("cut", {"start": 0.2}), ("slow", {"fps": 5})):
        job = Job(clip, [], tmp_path / name, keys=[KeyFrame(Picture(truth[8]), 0.8)], rate=10, **options)
        found = followed(job)
        where = 8 - 2 if name == "cut" else 4
        assert away(found[where], truth[8]) <= 2


def test_fine_paints_what_keys_do_not_show(tmp_path: Path, panned: Scene) -> None:
    frames, truth = panned
    job = Job(folder(tmp_path / "in", frames[:2]), [], tmp_path / "out", keys=[KeyFrame(Picture(truth[0]), 0)])
    found = followed(job, Settings(quality="fine"))
    assert away(found[0], truth[0]) <= 2
    rows, columns = seen_in_both(1, 0)
    assert away(found[1][..., rows, columns], truth[1][..., rows, columns]) < 8


def test_a_preview_has_followed_its_keys(tmp_path: Path, panned: Scene) -> None:
    frames, truth = panned
    job = Job(folder(tmp_path / "in", frames), [], tmp_path / "out", keys=[KeyFrame(Picture(truth[0]), 0)])
    strip = preview(job, DRAFT).pixels
    assert strip.shape == (1, 3, 2 * HEIGHT, 5 * WIDTH)
    assert away(strip[..., :HEIGHT, -WIDTH:], frames[9]) <= 1
    rows, columns = seen_in_both(9, 0)
    assert away(strip[..., HEIGHT:, -WIDTH:][..., rows, columns], truth[9][..., rows, columns]) < 8


@pytest.mark.parametrize(
    ("keys", "options", "words"),
    [
        ([KeyFrame(Picture(torch.rand(1, 3, 80, 80)), 0)], {}, "80 × 80 pixels, and the frames are 112 × 80"),
        ([KeyFrame(Picture(torch.rand(1, 3, 80, 112)), 9)], {}, "ends at 0.5 s"),
        ([KeyFrame(Picture(torch.rand(1, 3, 80, 112)), 0)], {"start": 0.2}, "before the cut"),
        ([KeyFrame(Picture(torch.rand(1, 3, 80, 112)), at) for at in (0.2, 0.201)], {}, "of one frame"),
        ([KeyFrame(Picture(torch.rand(1, 3, 80, 112)))], {}, "say which frame"),
        ([KeyFrame(Picture(torch.rand(1, 3, 80, 112)), 0, Picture(torch.zeros(1, 3, 8, 8)))], {}, "nothing of"),
        ([KeyFrame("away.png", 0)], {}, "away.png"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_are_one_line(
    tmp_path: Path, panned: Scene, keys: list[KeyFrame], options: dict[str, float], words: str
) -> None:
    clip = folder(tmp_path / "in", panned[0])
    with pytest.raises(ImpastoError, match=words) as caught:
        followed(Job(clip, [], tmp_path / "out", keys=keys, **options))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_what_goes_with_styles_does_not_go_with_keys(tmp_path: Path, panned: Scene) -> None:
    frames, truth = panned
    clip, key = folder(tmp_path / "in", frames[:2]), KeyFrame(Picture(truth[0]), 0)
    with pytest.raises(SettingsError, match="key frames or styles"):
        followed(Job(clip, [TimedStyle(Picture(truth[0]))], tmp_path / "out", keys=[key]))
    for option in ({"strength": 0.5}, {"style_scale": 2.0}, {"colour": "luminance"}):
        with pytest.raises(SettingsError, match=next(iter(option))):
            followed(Job(clip, [], tmp_path / "out", keys=[key]), Settings(quality="draft", **option))
    with pytest.raises(SettingsError, match="goes with key frames"):
        keys_of([], ["m.png"])
    with pytest.raises(SettingsError, match="has no name"):
        keys_of([("", None)])
    with pytest.raises(SettingsError, match="is a folder"):
        keys_of([(tmp_path / "in", 2.5)])
    with pytest.raises(SettingsError, match="one mask for all key frames, or 3"):
        keys_of([("a.png", 0), ("b.png", 1), ("c.png", 2)], ["m.png", "n.png"])


def test_a_clip_of_sixteen_bits_comes_back_in_them(tmp_path: Path, panned: Scene) -> None:
    frames, truth = panned
    Picture(truth[0]).save(tmp_path / "key.png", bits=16)
    job = Job(
        folder(tmp_path / "in", frames[:2]), [], tmp_path / "out", keys=[KeyFrame(tmp_path / "key.png", 0)], bits=16
    )
    for _ in itertools.islice(stylizing(job, DRAFT), 2):
        pass
    first = read(tmp_path / "out" / "frame_00001.png").pixels
    assert away(first, truth[0]) < 0.02
    assert next(iter(clips.read(tmp_path / "out"))).pixels.shape == (1, 3, HEIGHT, WIDTH)
