"""The sound of a clip arrives: in any container, from any codec, in time and in its channels."""

import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.layout import AudioLayout

from impasto.media import clip, layouts
from impasto.media.clip import sound

RATE = 48_000
TARGETS = ("mp4", "mov", "mkv", "webm")


def notes(channels: int, seconds: float = 0.6, rate: int = RATE) -> np.ndarray:
    """Noise in bursts [channels, T], each channel another: nothing repeats, so a shift or a swap would show."""
    generator = np.random.default_rng(channels)
    count = round(seconds * rate)
    smooth = np.stack([np.convolve(generator.normal(size=count), np.hanning(40) / 40, "same") for _ in range(channels)])
    bursts = 0.6 + 0.4 * np.sin(2 * np.pi * (np.arange(channels)[:, None] + 3) * np.arange(count) / rate)
    return np.asarray(0.4 * smooth * bursts / np.abs(smooth).max(), np.float32)


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Write a clip of grey frames, half a second and a bit, with sound tracks of any codec."""

    def make(
        name: str,
        *sounds: tuple[str, np.ndarray, str, int],  # codec, samples, layout, rate
        late: float = 0,  # seconds, of the sound
        gap: tuple[float, float] = (0, 0),  # seconds without sound
        languages: tuple[str, ...] = (),
        frames: int = 15,
        flash: int | None = None,  # the first white frame
        flags: str = "",
        before: Callable[[Any], None] = lambda container: None,
    ) -> Path:
        path = tmp_path / name
        options = {"mpegts_flags": "latm"} if name == "latm.ts" else {"movflags": flags} if flags else {}
        with av.open(str(path), "w", options=options) as file:
            before(file)
            picture: Any = file.add_stream(file.default_video_codec.replace("vp9", "libvpx-vp9"), rate=25)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            tracks: list[Any] = []
            for codec, _, layout, rate in sounds:
                track: Any = file.add_stream(codec, rate=rate, layout=layout)
                track.codec_context.options = {"strict": "-2"}  # which some coders ask for
                if codec.startswith("wma"):
                    track.bit_rate = 128_000
                tracks.append(track)
            packets = []
            for index in range(frames):
                grey = 255 if flash is not None and index >= flash else 20 + index
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8))
                frame.pts, frame.time_base = index, Fraction(1, 25)
                packets += picture.encode(frame)
            packets += picture.encode()
            for track, (_, samples, layout, rate) in zip(tracks, sounds, strict=True):
                track.codec_context.open()
                kind = track.codec_context.format.name
                resampler = av.AudioResampler(kind, layout, rate, track.codec_context.frame_size or 1024)
                parts = resampler.resample(layouts.frame(samples, layout, rate, round(late * rate)))
                for part in [*parts, *resampler.resample(None)]:
                    packets += track.encode(part)
                packets += track.encode()
            for track, language in zip(tracks, languages, strict=False):
                track.metadata["language"] = language
            packets = [p for p in packets if p.pts is None or not gap[0] <= p.pts * p.time_base < gap[1]]
            for packet in sorted(packets, key=lambda p: (p.dts if p.dts is not None else 0) * p.time_base):
                file.mux(packet)
        return path

    return make


def painted(path: Path, output: Path, said: list[str] | None = None, **cut: Any) -> Path:
    """Write `path` anew. What was said of the sound is added to `said`, else nothing may be said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read = clip.read(path, **cut)
        with clip.write(output, read.info, of=read) as out:
            for frame in read:
                out.add(frame.pixels, frame.time)
    about = [str(w.message) for w in caught if "frames could be read" not in str(w.message)]
    if said is None:
        assert about == []
    else:
        said += about
    return output


def heard(path: Path, index: int = 0) -> tuple[np.ndarray, str, int]:
    """Samples from the first picture on [channels, T], silence where there is none; layout, rate."""
    with av.open(str(path)) as file:
        first = next(file.decode(video=0))
        begin = (first.pts or 0) * (first.time_base or 0)
    uniform, parts, end = layouts.Uniform(), [], None
    with av.open(str(path)) as file:
        for frame in file.decode(file.streams.audio[index]):
            samples = uniform.samples(frame)
            if end is None:
                place = 0 if frame.pts is None else round((frame.pts * frame.time_base - begin) * uniform.rate)
                parts.append(np.zeros((len(samples), max(0, place)), np.float32))
                samples, end = samples[:, max(0, -place) :], True
            parts.append(samples)
    return np.concatenate(parts, 1), uniform.layout, uniform.rate


def likeness(first: np.ndarray, second: np.ndarray, slack: int = 60) -> float:
    """Correlation, at a shift of a millisecond at most: Matroska's clock is no finer."""
    length = min(first.shape[1], second.shape[1]) - slack
    parts = [(first[:, :length], second[:, s : s + length]) for s in range(slack)]
    parts += [(first[:, s : s + length], second[:, :length]) for s in range(slack)]
    return max(float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9)) for a, b in parts)


def at_rate(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    places = np.arange(round(samples.shape[1] * wanted / rate)) * rate / wanted
    return np.stack([np.interp(places, np.arange(samples.shape[1]), channel) for channel in samples])


SOURCES = [
    ("aac", "a.mkv", "5.1", RATE), ("aac", "latm.ts", "stereo", RATE), ("libmp3lame", "a.avi", "stereo", 44_100),
    ("mp2", "a.mpg", "stereo", RATE), ("ac3", "a.mkv", "5.1(side)", RATE), ("eac3", "a.ts", "stereo", RATE),
    ("flac", "a.mkv", "quad", RATE), ("alac", "a.mov", "stereo", RATE), ("libopus", "a.mkv", "5.1", RATE),
    ("vorbis", "a.mkv", "stereo", RATE), ("wavpack", "a.mkv", "stereo", RATE), ("wmav1", "a.wmv", "stereo", 44_100),
    ("wmav2", "a.avi", "stereo", 44_100), ("pcm_mulaw", "a.mov", "mono", 8_000), ("pcm_alaw", "a.avi", "mono", 8_000),
    ("adpcm_ima_wav", "a.avi", "stereo", 44_100), ("adpcm_ima_qt", "a.mov", "stereo", 44_100),
    ("nellymoser", "a.flv", "mono", 44_100), ("pcm_u8", "a.avi", "mono", 11_025),
    ("pcm_s16be", "a.mov", "stereo", RATE),
    ("pcm_s16le", "a.avi", "stereo", 37_800), ("pcm_s16le", "a.avi", "7.1", RATE), ("pcm_s24le", "a.mov", "quad", RATE),
    ("pcm_f64le", "a.mov", "mono", RATE), ("pcm_s16le", "a.mov", "stereo", 192_000),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "name", "layout", "rate"), SOURCES)
def test_every_sound_arrives_in_every_container(
    source: Callable[..., Path], tmp_path: Path, codec: str, name: str, layout: str, rate: int
) -> None:
    channels = AudioLayout(layout).nb_channels
    made = source(name, (codec, notes(channels, rate=rate), layout, rate), frames=2)
    before, was, _ = heard(made)
    for target in TARGETS:
        after, found, now = heard(painted(made, tmp_path / f"out.{target}"))
        if (was, found) == ("quad", "5.0"):  # AAC has no quad
            after = after[[0, 1, 3, 4]]
        assert len(after) == channels
        assert likeness(at_rate(before, rate, now), after) > 0.9, target
        assert after.shape[1] / now == pytest.approx(before.shape[1] / rate, abs=0.035 + 1024 / now)


def click(at: float, seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    """Silence with a click at a second [1, T]."""
    samples = np.zeros((1, round(seconds * rate)), np.float32)
    samples[0, round(at * rate) : round(at * rate) + 96] = 0.9
    return samples


def flash_and_click(path: Path) -> tuple[float, float]:
    """Seconds from the first picture to the first of the brightest ones, and to the click."""
    with av.open(str(path)) as file:
        shown = [(float(f.pts * f.time_base), f.to_ndarray(format="gray").mean()) for f in file.decode(video=0)]
    samples, _, rate = heard(path)
    flash = next(time for time, grey in shown if grey > 128)
    return flash - shown[0][0], int(np.abs(samples[0]).argmax()) / rate


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("codec", "name"),
    [("pcm_s16le", "a.avi"), ("aac", "a.mp4"), ("ac3", "a.ts"), ("wmav2", "a.wmv"), ("flac", "a.mkv")],
)
def test_a_click_stays_with_its_flash(
    source: Callable[..., Path], tmp_path: Path, codec: str, name: str, target: str
) -> None:
    made = source(name, (codec, click(1.0), "mono", RATE), frames=50, flash=25)
    for number, cut in enumerate(({}, {"start": 0.5}, {"start": 0.3, "end": 1.4}, {"fps": 12})):
        flash, clicked = flash_and_click(painted(made, tmp_path / f"out{number}.{target}", **cut))
        assert clicked == pytest.approx(1.0 - cut.get("start", 0), abs=0.025), cut
        assert flash == pytest.approx(clicked, abs=0.045), cut


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("codec", "name"), [("pcm_s16le", "a.mov"), ("libmp3lame", "a.mkv"), ("ac3", "a.mp4")])
def test_sound_that_starts_late_or_goes_on_for_longer_stays_so(
    source: Callable[..., Path], tmp_path: Path, codec: str, name: str, target: str
) -> None:
    made = source(name, (codec, click(0.3), "mono", RATE), frames=20, flash=17, late=0.4)
    output = painted(made, tmp_path / f"out.{target}")
    flash, clicked = flash_and_click(output)
    assert clicked == pytest.approx(0.7, abs=0.03) and flash == pytest.approx(0.68, abs=0.01)
    samples, _, rate = heard(output)
    assert samples.shape[1] / rate == pytest.approx(2.4, abs=0.05)  # 0.8 seconds of picture


@pytest.mark.parametrize(("codec", "name"), [("mp2", "a.mpg"), ("libmp3lame", "a.swf")])
def test_a_late_cut_has_its_sound_and_no_false_alarm(
    source: Callable[..., Path], tmp_path: Path, codec: str, name: str
) -> None:
    """Where a decoder starts in the middle it complains of its first packet, and SWF cannot seek."""
    rate = 44_100
    made = source(name, (codec, notes(1, 4.0, rate), "mono", rate), frames=100)
    output = painted(made, tmp_path / "out.mp4", start=3.2)
    assert likeness(heard(output)[0][:, 4000:], heard(made)[0][:, round(3.2 * rate) + 4000 :], 1500) > 0.9


def test_a_quicktime_file_says_which_channels_it_has(source: Callable[..., Path], tmp_path: Path) -> None:
    made = source("a.avi", ("pcm_s16le", notes(2), "stereo", RATE))  # which does not
    with av.open(str(painted(made, tmp_path / "o.mov"))) as file:
        assert file.streams.audio[0].layout.name == "stereo"
    samples, _, _ = heard(tmp_path / "o.mov")
    assert np.abs(samples - heard(made)[0]).max() < 1e-6


def test_a_gap_in_the_sound_is_silence(source: Callable[..., Path], tmp_path: Path) -> None:
    made = source("a.mkv", ("pcm_s16le", notes(1, 2.0), "mono", RATE), frames=5, gap=(0.5, 1.5))
    for target in ("mov", "webm"):  # the one is a copy, the other is coded anew
        samples, _, rate = heard(painted(made, tmp_path / f"out.{target}", end=2.0, said=[]))
        assert samples.shape[1] / rate == pytest.approx(2.0, abs=0.03)
        assert np.abs(samples[:, round(0.55 * rate) : round(1.45 * rate)]).max() < 1e-3
        assert np.abs(samples[:, round(1.55 * rate) :]).max() > 0.1


@pytest.mark.parametrize("target", TARGETS)
def test_every_sound_track_goes_along_with_its_language(
    source: Callable[..., Path], tmp_path: Path, target: str
) -> None:
    tracks = [("ac3", notes(6), "5.1", RATE), ("aac", notes(2), "stereo", RATE), ("flac", notes(1), "mono", RATE)]
    output = painted(source("a.mkv", *tracks, languages=("eng", "fra", "spa")), tmp_path / f"out.{target}")
    with av.open(str(output)) as file:
        assert [track.language for track in file.streams.audio] == ["eng", "fra", "spa"]
    for index, (_, samples, _, _) in enumerate(tracks):
        found, _, _ = heard(output, index)
        assert len(found) == len(samples)
        assert likeness(samples[:1], found[:1], slack=2000) > 0.9


@pytest.mark.parametrize(("start", "chapters", "timecode"), [
    (None, [(0, 0.2), (0.2, 0.6)], "10:00:00:05"), (0.12, [(0, 0.08), (0.08, 0.48)], "10:00:00:08"),
])  # fmt: skip
@pytest.mark.parametrize("target", TARGETS)
def test_title_chapters_and_timecode_go_along(
    source: Callable[..., Path], tmp_path: Path, target: str, start: float | None, chapters: list[Any], timecode: str
) -> None:
    def before(file: Any) -> None:
        file.metadata.update(title="Holiday", encoder="old", comment="of the old file", timecode="10:00:00:05")
        tick = Fraction(1, 1000)
        file.set_chapters([
            {"id": 1, "start": 0, "end": 200, "time_base": tick, "metadata": {"title": "one"}},
            {"id": 2, "start": 200, "end": 600, "time_base": tick, "metadata": {"title": "two"}},
        ])  # fmt: skip

    made = source("a.mp4", ("aac", notes(1), "mono", RATE), before=before, flags="use_metadata_tags")
    output = painted(made, tmp_path / f"o.{target}", start=start)
    with av.open(str(output)) as file:
        tags = {name.lower(): text for name, text in file.metadata.items()}
        found = [
            (c["metadata"]["title"], *(float(c[s] * c["time_base"]) for s in ("start", "end"))) for c in file.chapters()
        ]
        codes = [s.metadata.get("timecode") for s in file.streams] + [tags.get("timecode")]
    assert tags["title"] == "Holiday" and "old" not in tags["encoder"] and "comment" not in tags
    assert found == [("one", *map(pytest.approx, chapters[0])), ("two", *map(pytest.approx, chapters[1]))]
    assert timecode in codes


def test_a_timecode_counts_the_frames_of_the_result(source: Callable[..., Path], tmp_path: Path) -> None:
    made = source("a.mov", before=lambda file: file.metadata.update(timecode="10:00:00:20"))
    with av.open(str(painted(made, tmp_path / "o.mov", fps=12, start=0.3))) as file:
        assert "10:00:01:02" in [stream.metadata.get("timecode") for stream in file.streams]


def test_subtitles_go_along_or_are_named_as_left_out(tmp_path: Path) -> None:
    text = "1\n00:00:00,120 --> 00:00:00,400\nHello\n"
    (tmp_path / "a.srt").write_text(text)
    with av.open(str(tmp_path / "a.srt")) as titles, av.open(str(tmp_path / "a.mkv"), "w") as file:
        picture: Any = file.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        track = file.add_stream_from_template(titles.streams.subtitles[0])
        for index in range(15):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8))
            frame.pts, frame.time_base = index, Fraction(1, 25)
            file.mux(picture.encode(frame))
        file.mux(picture.encode())
        for packet in titles.demux():
            if packet.size:
                packet.stream = track
                file.mux(packet)
    said: list[str] = []
    painted(tmp_path / "a.mkv", tmp_path / "b.mkv", said, start=0.08)
    assert said == []
    with av.open(str(tmp_path / "b.mkv")) as file:
        packet = next(p for p in file.demux(subtitles=0) if p.size)
        assert (bytes(packet), float(packet.pts * packet.time_base)) == (b"Hello", pytest.approx(0.04))
        assert float(packet.duration * packet.time_base) == pytest.approx(0.28)
    painted(tmp_path / "a.mkv", tmp_path / "b.webm", said)
    assert len(said) == 1 and said[0].endswith("left out of b.webm: subtitles (subrip)")


@pytest.mark.parametrize(("name", "why"), [("out.gif", "GIF has none"), ("out", "numbered pictures have none")])
def test_where_there_can_be_no_sound_it_is_said(
    source: Callable[..., Path], tmp_path: Path, name: str, why: str
) -> None:
    said: list[str] = []
    painted(source("a.mp4", ("aac", notes(1), "mono", RATE)), tmp_path / name, said)
    assert len(said) == 1 and said[0].endswith(f"its sound is left out: {why}")


def test_what_fails_at_the_very_end_is_done_by_going_on(
    source: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source("a.wmv", ("wmav2", notes(2, rate=44_100), "stereo", 44_100))
    with monkeypatch.context() as broken:
        broken.setattr(sound.Sound, "packets", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            painted(made, tmp_path / "out.webm")
    read = clip.read(made)
    with clip.write(tmp_path / "out.webm", read.info, of=read, resume=True) as out:
        assert out.done == 15  # nothing to paint again
    assert likeness(at_rate(heard(made)[0], 44_100, RATE), heard(tmp_path / "out.webm")[0]) > 0.9
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.wmv", "out.webm"]


def test_sound_whose_layout_changes_is_heard_to_its_end(source: Callable[..., Path], tmp_path: Path) -> None:
    stereo = source("a.ts", ("ac3", notes(2), "stereo", RATE)).read_bytes()
    mono = source("b.ts", ("ac3", notes(1), "mono", RATE)).read_bytes()
    (tmp_path / "c.ts").write_bytes(stereo + mono)
    samples, layout, rate = heard(painted(tmp_path / "c.ts", tmp_path / "out.webm", said=[]))
    assert layout == "stereo"
    assert samples.shape[1] / rate == pytest.approx(1.2, abs=0.1)
    assert np.abs(samples[:, round(0.8 * rate) : round(1.1 * rate)]).max() > 0.1
