"""`impasto video` as a person meets it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from impasto.cli.video import _timed
from impasto.media import clip
from impasto.style import video

Impasto = Callable[..., Any]  # the fixture in conftest.py


@pytest.fixture
def frames(folder: Path) -> Path:
    """Numbered frames, beside `photo.png` and `left.png`."""
    (folder / "frames").mkdir()
    photo = Image.open("photo.png").resize((200, 150))
    for number in range(6):
        photo.crop((4 * number, 0, 4 * number + 96, 72)).save(f"frames/{number}.png")
    return folder


def test_a_clip_is_painted_and_says_where(impasto: Impasto, frames: Path) -> None:
    assert impasto("video", "frames", "meadow", "-o", "out.mp4") == (0, "out.mp4\n", "")
    painted = clip.read("out.mp4")
    assert (painted.info.width, painted.info.height, len(list(painted))) == (96, 72, 6)
    out = impasto("inspect", "out.mp4", "--json").out
    found = json.loads(out)
    assert found["recipe"]["settings"]["quality"] == "draft" and "AISystemUsed" in found["labels"]


def test_json_is_a_line_per_frame(impasto: Impasto, frames: Path) -> None:
    words = ("--json", "--fps", "12", "--end", "0.2", "--mask", "left.png", "--size", "48")
    code, out, _ = impasto("video", "frames", "meadow", "swirl", "-o", "out.webm", *words)
    *records, end = map(json.loads, out.splitlines())
    assert code == 0 and [record["frame"] for record in records] == [1, 2, 3]
    assert end == {"output": "out.webm", "frames": 3}
    assert clip.read("out.webm").info.width == 48


def test_styles_may_take_turns(impasto: Impasto, frames: Path) -> None:
    assert impasto("video", "frames", "--style", "meadow@0", "--style", "swirl@0.1s", "-o", "painted").code == 0
    assert sorted(path.name for path in Path("painted").iterdir())[-1] == "frame_00006.png"
    recipe = json.loads(impasto("inspect", "painted", "--json").out)["recipe"]
    assert recipe["settings"]["style 2 since"] == 0.1


def test_a_clip_follows_frames_that_were_painted_over(impasto: Impasto, frames: Path) -> None:
    """Forwards and back, and each line of progress names the key."""
    for number, ink in ((1, 40), (4, 200)):
        Image.fromarray(np.full((72, 96, 3), ink, np.uint8)).save(f"key{number}.png")
    keys = ("--key", "key4.png@0.17s", "--key", "key1.png@0.05")
    code, out, err = impasto("video", "frames", *keys, "-o", "painted", "--json")
    *records, end = map(json.loads, out.splitlines())
    assert (code, err, end) == (0, "", {"output": "painted", "frames": 6})
    assert [record["keys"] for record in records] == [
        ["key1.png"], ["key1.png"], ["key4.png", "key1.png"], ["key4.png", "key1.png"], ["key4.png"], ["key4.png"]
    ]  # fmt: skip
    for number, ink in ((2, 40), (5, 200)):
        assert abs(np.asarray(Image.open(f"painted/frame_{number:05}.png")).astype(int) - ink).mean() <= 2
    assert impasto("video", "frames", *keys, "-o", "painted", "--preview") == (0, "painted.preview.png\n", "")
    assert Image.open("painted.preview.png").size == (5 * 96, 2 * 72)


def test_a_key_without_a_second_is_one_line(impasto: Impasto, frames: Path) -> None:
    code, out, err = impasto("video", "frames", "--key", "photo.png", "-o", "painted")
    assert (code, out) == (2, "") and "photo.png@2.5s" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("a.jpg@5", ("a.jpg", 5.0)), ("a.jpg@5.5s", ("a.jpg", 5.5)), ("a@b.jpg@1:30", ("a@b.jpg", 90.0)),
     ("a@b.jpg", ("a@b.jpg", None)), ("meadow", ("meadow", None)), ("a.jpg@.25", ("a.jpg", 0.25)),
     ("a.jpg@1:00:02.5s", ("a.jpg", 3602.5))],
)  # fmt: skip
def test_a_style_may_say_when_it_begins(text: str, wanted: tuple[str, float | None]) -> None:
    assert _timed(text) == wanted


@pytest.mark.parametrize("said", ["-1", "frame5", "1e9", ""])
def test_what_is_no_second_is_said(impasto: Impasto, frames: Path, said: str) -> None:
    code, out, err = impasto("video", "frames", "--key", f"photo.png@{said}", "-o", "painted")
    assert (code, out) == (2, "") and "is no second, such as 2.5s or 1:30" in err and err.count("\n") == 1


def test_a_file_may_have_a_name_like_that(folder: Path) -> None:
    Path("odd@5").touch()
    assert _timed("odd@5") == ("odd@5", None)


def film(path: str) -> list[float]:
    """Write two seconds of four frames each, lighter from frame to frame, with a tone that is higher from 0.5 s to 1 s.

    Returns the brightness of each frame.
    """
    levels = [0.1 + 0.1 * number for number in range(8)]
    times = np.arange(2 * 48_000) / 48_000
    pitch = np.where((times >= 0.5) & (times < 1), 1000, 300)
    wave = np.sin(2 * np.pi * np.cumsum(pitch) / 48_000).astype(np.float32)[None]
    with av.open(path, "w") as container:
        video: Any = container.add_stream("libx264", rate=4, options={"crf": "5"})
        video.width, video.height, video.pix_fmt = 96, 72, "yuv420p"
        audio: Any = container.add_stream("aac", rate=48_000, layout="mono")
        for level in levels:
            grey = np.full((72, 96, 3), round(255 * level), np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(video.encode())
        samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        samples.sample_rate, samples.pts = 48_000, 0
        container.mux(audio.encode(samples))
        container.mux(audio.encode())
    return levels


CUT = ("--start", "0.5", "--end", "1", "--strength", "0", "--size", "64")


@pytest.mark.parametrize("quality", ["draft", "fine"])
def test_a_part_of_a_clip_has_the_frames_and_the_sound_of_that_part(
    impasto: Impasto, folder: Path, quality: str
) -> None:
    levels = film("film.mp4")
    code, _, err = impasto("video", "film.mp4", "meadow", "-o", "out.mp4", *CUT, "--quality", quality)
    assert (code, err) == (0, "")
    painted = list(clip.read("out.mp4"))
    assert [float(frame.time) for frame in painted] == [0, 0.25]
    assert [frame.pixels.mean().item() for frame in painted] == pytest.approx(levels[2:4], abs=0.03)
    with av.open("out.mp4") as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(heard) / 48_000 == pytest.approx(0.5, abs=0.05)
    middle = heard[4_800:19_200]  # 0.1 s to 0.4 s
    assert np.count_nonzero(np.diff(np.signbit(middle))) == pytest.approx(2 * 1000 * 0.3, rel=0.02)
    settings = json.loads(impasto("inspect", "out.mp4", "--json").out)["recipe"]["settings"]
    assert (settings["start"], settings["end"]) == (0.5, 1)


@pytest.mark.parametrize("source", ["frames", "film.gif"])
@pytest.mark.parametrize("output", ["painted", "out.gif", "out.webm"])
def test_a_part_of_frames_or_of_a_gif_is_cut_too(impasto: Impasto, folder: Path, source: str, output: str) -> None:
    levels = [0.1 + 0.1 * number for number in range(8)]
    greys = [Image.new("RGB", (96, 72), (round(255 * level),) * 3) for level in levels]
    greys[0].save("film.gif", save_all=True, append_images=greys[1:], duration=250)
    Path("frames").mkdir()
    for number, grey in enumerate(greys):
        grey.save(f"frames/{number}.png")
    rate = ("--rate", "4") if source == "frames" else ()
    code, _, err = impasto("video", source, "meadow", "-o", output, *CUT, *rate)
    assert (code, err) == (0, "")
    painted = list(clip.read(output, rate=4))
    assert [float(frame.time) for frame in painted] == pytest.approx([0, 0.25], abs=0.002)
    assert [frame.pixels.mean().item() for frame in painted] == pytest.approx(levels[2:4], abs=0.03)


def test_the_preview_of_a_part_is_of_that_part(impasto: Impasto, folder: Path) -> None:
    film("film.mp4")
    assert impasto("video", "film.mp4", "meadow", "-o", "out.mp4", *CUT, "--preview").code == 0
    strip = np.asarray(Image.open("out.preview.png").convert("L"), dtype=float)[:48] / 255  # above, the clip's frames
    columns = strip.reshape(48, 5, 64).mean((0, 2))
    assert columns.min() > 0.25 and columns.max() < 0.45 and columns[-1] - columns[0] > 0.05


def test_a_preview_is_a_picture_beside_the_clip(impasto: Impasto, frames: Path) -> None:
    assert impasto("video", "frames", "meadow", "-o", "out.mp4", "--preview") == (0, "out.preview.png\n", "")
    assert Image.open("out.preview.png").size == (5 * 96, 2 * 72) and not Path("out.mp4").exists()


def test_ctrl_c_leaves_a_playable_clip_and_says_how_to_go_on(
    impasto: Impasto, frames: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint, count = video._Painter.paint, iter(range(9))

    def interrupted(self: Any, *words: Any) -> Any:
        if next(count) == 4:
            raise KeyboardInterrupt
        return paint(self, *words)

    with monkeypatch.context() as patch:
        patch.setattr(video._Painter, "paint", interrupted)
        code, out, err = impasto("video", "frames", "meadow", "-o", "out.mp4")
    assert (code, out) == (130, "")
    assert err == "stopped: 4 frames are done; go on with the same command and --resume\n"
    assert len(list(clip.read("out.partial.mp4"))) == 4
    assert impasto("video", "frames", "meadow", "-o", "out.mp4").code == 2  # what is there is not lost by mistake
    assert impasto("video", "frames", "meadow", "-o", "out.mp4", "--resume") == (0, "out.mp4\n", "")
    assert len(list(clip.read("out.mp4"))) == 6 and not Path("out.partial.mp4").exists()


WRONG = {
    "no style": (["frames", "-o", "out.mp4"], "name a clip and a style"),
    "clip": (["nowhere.mp4", "meadow", "-o", "out.mp4"], "nowhere.mp4 does not exist"),
    "not a clip": (["photo.txt", "meadow", "-o", "out.mp4"], "photo.txt cannot be read"),
    "style": (["frames", "medow", "-o", "out.mp4"], "no bundled style"),
    "format": (["frames", "meadow", "-o", "out.doc"], "a clip is .mp4"),
    "folder": (["frames", "meadow", "-o", "no/out.mp4"], "there is no folder no"),
    "cut": (["frames", "meadow", "-o", "out.mp4", "--start", "2", "--end", "1"], "has no length"),
    "crf": (["frames", "meadow", "-o", "out.gif", "--crf", "3"], "crf is for"),
    "crf of H.264": (["nowhere.mp4", "meadow", "-o", "out.mp4", "--crf", "60"], "crf is for"),
    "crf of VP9": (["nowhere.mp4", "meadow", "-o", "out.webm", "--crf", "64"], "crf goes from 0 to 63"),
}


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_wrong_words_are_one_line_and_leave_nothing(
    impasto: Impasto, frames: Path, words: list[str], said: str
) -> None:
    Path("photo.txt").write_text("no clip")
    before = sorted(frames.iterdir())
    code, out, err = impasto("video", *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err
    assert sorted(frames.iterdir()) == before
