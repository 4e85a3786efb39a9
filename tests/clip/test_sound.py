"""The sound of a clip arrives: whatever codec it came in, whatever container it goes to, in time and in its channels."""

import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.audio.layout import AudioLayout

from impasto import clip, layouts

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
        late: float = 0,
        frames: int = 15,
        before: Callable[[Any], None] = lambda container: None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options={"mpegts_flags": "latm"} if name == "latm.ts" else {}) as file:
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
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 7 * index, np.uint8))
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
    ("nellymoser", "a.flv", "mono", 44_100), ("pcm_u8", "a.avi", "mono", 11_025), ("pcm_s16be", "a.mov", "stereo", RATE),
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
