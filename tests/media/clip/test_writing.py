"""Clips are written as they are given, keep what the source said of itself, and survive interruptions."""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

from impasto import provenance
from impasto.errors import ClipError, OutputError, SettingsError
from impasto.media import clip
from impasto.media.clip import sound, writing
from impasto.media.clip.info import Info

VIDEOS = ["a.mp4", "a.mkv", "a.webm", "a.mov", "a.gif"]
RECIPE = {"content": {"name": "fox.mp4"}, "settings": {"strength": 1.5}}


def grey(index, height=32, width=48):
    return torch.full((1, 3, height, width), (20 + 7 * (index % 30)) / 255)


def info(**changes):
    return replace(Info(48, 32, Fraction(24)), **changes)


def write(path, indices, about=None, **options):
    about = about or info()
    with clip.write(path, about, **options) as out:
        for index in indices:
            out.add(grey(index, about.height, about.width), index / about.rate)


@pytest.mark.parametrize("name", VIDEOS)
def test_every_frame_is_there_at_its_time(tmp_path, numbers, name):
    write(tmp_path / name, range(10))
    frames = list(clip.read(tmp_path / name))
    assert numbers(frames) == list(range(10))
    exact = name in ("a.mp4", "a.mov")
    for index, frame in enumerate(frames):
        assert abs(frame.time - Fraction(index, 24)) <= (0 if exact else Fraction(1, 100 if name == "a.gif" else 1000))
    assert sorted(file.name for file in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.gif"])
def test_a_variable_rate_stays_variable(tmp_path, name):
    times = [Fraction(n, 100) for n in (0, 4, 9, 30, 31, 50)]
    with clip.write(tmp_path / name, info(variable=True)) as out:
        for index, time in enumerate(times):
            out.add(grey(index), time)
    assert [frame.time for frame in clip.read(tmp_path / name)] == times


def test_ntsc_rates_are_exact(tmp_path):
    rate = Fraction(30000, 1001)
    write(tmp_path / "a.mp4", range(5), info(rate=rate))
    read = clip.read(tmp_path / "a.mp4")
    assert read.info.rate == rate
    assert [frame.time for frame in read] == [index / rate for index in range(5)]


def test_what_the_source_said_of_its_pixels_is_kept(tmp_path):
    about = info(aspect=Fraction(4, 3), full_range=True, matrix=6, primaries=6, transfer=6)
    for name in ("a.mp4", "a.mkv", "a.mov"):
        if name == "a.mov":
            about = replace(about, full_range=False)  # ProRes has none
        write(tmp_path / name, range(2), about)
        read = clip.read(tmp_path / name).info
        for field in ("aspect", "full_range", "matrix", "primaries", "transfer"):
            assert getattr(read, field) == getattr(about, field), (name, field)


def test_webm_and_gif_get_square_pixels(tmp_path):
    for name in ("a.webm", "a.gif"):
        write(tmp_path / name, range(2), info(aspect=Fraction(4, 3)))
        read = clip.read(tmp_path / name).info
        assert (read.width, read.height, read.aspect) == (64, 32, 1)


@pytest.mark.parametrize(("matrix", "kr", "kb"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_colours_are_coded_as_tagged(tmp_path, name, matrix, kr, kb, full):
    full = full and name == "a.mp4"
    red, green, blue = rgb = (0.8, 0.35, 0.2)
    with clip.write(
        tmp_path / name, info(matrix=matrix, full_range=full), **({"crf": 1} if name == "a.mp4" else {})
    ) as o:
        o.add(torch.tensor(rgb)[None, :, None, None].expand(1, 3, 32, 48), 0)
    with av.open(str(tmp_path / name)) as container:
        frame = next(container.decode(video=0))
    bits = 8 if name == "a.mp4" else 10
    y = kr * red + (1 - kr - kb) * green + kb * blue  # H.273, equations 38 to 40
    pb, pr = (blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr))
    expected = (
        np.array([y * 255, pb * 255 + 128, pr * 255 + 128])
        if full
        else np.array([219 * y + 16, 224 * pb + 128, 224 * pr + 128])
    )
    kind = np.uint8 if bits == 8 else np.uint16
    found = [np.frombuffer(bytes(plane), kind)[10] / 2 ** (bits - 8) for plane in frame.planes]
    assert np.abs(found - expected).max() < 1.1


def test_odd_sizes_repeat_their_edge(tmp_path):
    ramp = torch.linspace(0.1, 0.9, 47).expand(1, 3, 31, 47)
    for name, size in [("a.mp4", (48, 32)), ("a.mov", (48, 32)), ("a.gif", (47, 31))]:
        with clip.write(tmp_path / name, info(width=47, height=31)) as out:
            out.add(ramp, 0)
        (frame,) = clip.read(tmp_path / name)
        assert frame.pixels.shape[2:] == size[::-1]
        assert float((frame.pixels[..., -1] - 0.9).abs().max()) < 0.05


@pytest.mark.parametrize(("name", "off"), [("a.mov", 0.005), ("a.webm", 0.05)])
@pytest.mark.filterwarnings("error")
def test_alpha_is_kept(tmp_path, name, off):
    alpha = torch.linspace(0, 1, 47).expand(1, 1, 31, 47)
    with clip.write(tmp_path / name, info(alpha=True, width=47, height=31)) as out:
        for index in range(3):
            out.add(grey(index, 31, 47), index / 24, alpha)
    frames = list(clip.read(tmp_path / name))
    assert len(frames) == 3
    for frame in frames:
        assert float((frame.alpha[..., :31, :47] - alpha).abs().max()) < off
    if name == "a.webm":
        assert b"\x53\xc0\x81\x01" in (tmp_path / name).read_bytes()  # AlphaMode 1, by which browsers know


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_alpha_is_laid_on_white_elsewhere_and_that_is_said_once(tmp_path, name):
    alpha = torch.linspace(0, 1, 48).expand(1, 1, 32, 48)
    lost = pytest.warns(UserWarning, match=rf"{name} has no transparency: it is laid on white; \.webm, \.mov, \.gif")
    with lost as said, clip.write(tmp_path / name, info(alpha=True)) as out:
        out.add(grey(0), 0, alpha)
        out.add(grey(0), 1 / 24, alpha)
    assert len(said) == 1
    laid = next(iter(clip.read(tmp_path / name)))
    assert laid.alpha is None
    assert float((laid.pixels - (grey(0) * alpha + 1 - alpha)).abs().max()) < 0.05


@pytest.mark.filterwarnings("error")
def test_alpha_that_hides_nothing_is_no_loss(tmp_path):
    with clip.write(tmp_path / "a.mp4", info(alpha=True)) as out:
        out.add(grey(0), 0, torch.ones(1, 1, 32, 48))


def test_a_gif_goes_round_and_keeps_its_delays(tmp_path):
    write(tmp_path / "a.gif", range(8), info(rate=Fraction(10)))
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 0
        durations = []
        for index in range(image.n_frames):
            image.seek(index)
            durations.append(image.info["duration"])
    assert durations == [100] * 8


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("stopped", [False, True])
def test_the_last_frame_stands_as_long_as_it_is_told_to(tmp_path, name, stopped):
    delays = (0.1, 0.5, 0.2, 0.05, 1.5)
    for resume in (False, True) if stopped else (False,):
        try:
            with clip.write(tmp_path / name, info(variable=True), resume=resume) as out:
                for index in range(out.done, 5):
                    out.add(grey(index), Fraction(str(round(sum(delays[:index]), 2))), duration=delays[index])
                if stopped and not resume:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
    assert [float(frame.duration) for frame in clip.read(tmp_path / name)] == pytest.approx(delays, abs=0.001)


def packets(path, start=0.0, end=100.0):
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        kind = stream.codec_context.name
        return kind, [
            (float(p.pts * p.time_base), bytes(p))
            for p in container.demux(stream)
            if p.size and start <= p.pts * p.time_base < end
        ]


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv"])
def test_sound_is_copied_bit_by_bit(tmp_path, film, greys, name):
    source = clip.read(film("a.mp4", greys(48), sound="aac"))
    assert source.info.sound
    with clip.write(tmp_path / name, source.info, of=source) as out:
        for frame in source:
            out.add(frame.pixels, frame.time)
    (_, before), (kind, after) = packets(source.path), packets(tmp_path / name)
    assert kind == "aac"
    if name == "b.mkv":  # without what begins before the picture
        before = [packet for packet in before if packet[0] >= 0]
    assert len(before) > 80
    assert [data for _, data in after] == [data for _, data in before]
    assert [time for time, _ in after] == pytest.approx([time for time, _ in before], abs=0.001)
    assert next(iter(clip.read(tmp_path / name))).time == 0


def test_sound_is_cut_with_the_picture(tmp_path, film, greys):
    source = clip.read(film("a.mp4", greys(48), sound="aac"), start=0.5, end=1.5)
    with clip.write(tmp_path / "b.mp4", source.info, of=source) as out:
        for frame in source:
            out.add(frame.pixels, frame.time)
    (_, before), (_, after) = packets(source.path, 0.5, 1.5), packets(tmp_path / "b.mp4")
    assert [data for _, data in after] == [data for _, data in before]
    assert [time for time, _ in after] == pytest.approx([time - 0.5 for time, _ in before], abs=0.001)


def test_sound_is_coded_anew_where_it_must_be(tmp_path, film, greys):
    source = clip.read(film("a.mp4", greys(48), sound="aac"))
    with clip.write(tmp_path / "b.webm", source.info, of=source) as out:
        for frame in source:
            out.add(frame.pixels, frame.time)
    kind, after = packets(tmp_path / "b.webm", start=-1)
    assert kind == "opus"
    assert after[-1][0] == pytest.approx(2, abs=0.05)
    with av.open(str(tmp_path / "b.webm")) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    middle = sound[24_000:72_000]
    crossings = np.count_nonzero(np.diff(np.signbit(middle)))
    assert crossings == pytest.approx(48_000 * 0.06 / np.pi, rel=0.01)  # the pitch of the source


def test_a_sound_that_nobody_takes_does_not_cost_the_picture(tmp_path, film, greys, numbers, monkeypatch):
    source = clip.read(film("a.mp4", greys(4), sound="aac"))
    monkeypatch.setattr(sound.Sound, "_laid_out", lambda *_: iter([av.AudioFrame(samples=9)]))  # nothing takes that
    silent = pytest.warns(UserWarning, match=r"b\.webm is silent")
    with silent, clip.write(tmp_path / "b.webm", source.info, of=source) as out:
        for frame in source:
            out.add(frame.pixels, frame.time)
    made = clip.read(tmp_path / "b.webm")
    assert numbers(made) == [0, 1, 2, 3]
    assert not made.info.sound


@pytest.mark.parametrize("name", VIDEOS)
def test_an_interrupted_clip_can_be_played_and_resumed(tmp_path, numbers, name):
    (tmp_path / name).write_text("an older result")
    with pytest.raises(KeyboardInterrupt), clip.write(tmp_path / name, info(), recipe=RECIPE) as out:
        for index in range(7):
            out.add(grey(index), Fraction(index, 24))
        raise KeyboardInterrupt
    assert (tmp_path / name).read_text() == "an older result"
    partial = tmp_path / name.replace("a.", "a.partial.")
    assert numbers(clip.read(partial)) == list(range(7))

    with pytest.raises(ClipError, match="resume to go on"):
        clip.write(tmp_path / name, info(), recipe=RECIPE)
    with pytest.raises(ClipError, match="other settings"):
        clip.write(tmp_path / name, info(), recipe={}, resume=True)

    with clip.write(tmp_path / name, info(), recipe=RECIPE, resume=True) as out:
        assert out.done == 7
        out.state.touch()
        for index in range(out.done, 12):
            out.add(grey(index), Fraction(index, 24))
    frames = list(clip.read(tmp_path / name))
    assert numbers(frames) == list(range(12))
    assert [float(f.time) for f in frames] == pytest.approx([i / 24 for i in range(12)], abs=0.011)
    assert [file.name for file in tmp_path.iterdir()] == [name]


KILLED = """
import os, signal, sys, torch
from fractions import Fraction
from impasto.media import clip
from impasto.media.clip.info import Info
with clip.write(sys.argv[1], Info(48, 32, Fraction(24))) as out:
    for index in range(60):
        out.add(torch.full((1, 3, 32, 48), (20 + 7 * (index % 30)) / 255), Fraction(index, 24))
    print(out.kept, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_killed_before_its_first_frame_leaves_no_trouble(tmp_path, numbers):
    (tmp_path / "a.mp4.part0.mp4").touch()
    write(tmp_path / "a.mp4", range(3))
    assert numbers(clip.read(tmp_path / "a.mp4")) == [0, 1, 2]
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("torn", [0, 150])
def test_a_killed_run_goes_on_from_what_reached_the_disk(tmp_path, numbers, torn):
    path = tmp_path / "a.mp4"
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, path], env=paths, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    part = tmp_path / "a.mp4.part0.mp4"
    os.truncate(part, part.stat().st_size - torn)
    with clip.write(path, info(), resume=True) as out:
        assert 30 <= out.done < 60
        assert torn or out.done >= int(done.stdout) > 30
        for index in range(out.done, 70):
            out.add(grey(index), Fraction(index, 24))
    frames = list(clip.read(path))
    assert numbers(frames) == [index % 30 for index in range(70)]
    assert [frame.time for frame in frames] == [Fraction(index, 24) for index in range(70)]


@pytest.mark.filterwarnings("error")
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path, numbers):
    path = tmp_path / "a.mov"
    path.write_text("an older result")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = torch.rand(1, 3, 32, 48)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
        refused = pytest.raises(ClipError, match="cannot be written: File too large; make room")
        with refused, clip.write(path, info()) as out:
            for index in range(200):
                out.add(noise, Fraction(index, 24))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "an older result"
    with clip.write(path, info(), resume=True) as out:
        assert 2 <= out.done < 40
        before = out.done
        out.add(noise, Fraction(200, 24))
    assert len(list(clip.read(path))) == before + 1


def test_places_and_formats_that_cannot_be_are_refused_at_once(tmp_path, monkeypatch):
    with pytest.raises(ClipError, match=r"\.mp4"):
        clip.write(tmp_path / "a.xyz", info())
    with pytest.raises(OutputError, match="create it first"):
        clip.write(tmp_path / "none" / "a.mp4", info())
    with pytest.raises(SettingsError, match="crf is for"):
        clip.write(tmp_path / "a.mov", info(), crf=20)
    with pytest.raises(SettingsError, match="numbered pictures"):
        clip.write(tmp_path / "a.mp4", info(), bits=16)
    monkeypatch.setitem(writing.FORMATS, ".mp4", replace(writing.FORMATS[".mp4"], codec="libnothing"))
    with pytest.raises(ClipError, match="no encoder libnothing"):
        clip.write(tmp_path / "a.mp4", info())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "frames"])
def test_nothing_to_write_leaves_nothing(tmp_path, name):
    with pytest.raises(ClipError, match="no frame"):
        write(tmp_path / name, [])
    with pytest.raises(KeyboardInterrupt), clip.write(tmp_path / "b.mp4", info()):
        raise KeyboardInterrupt
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("name", [*VIDEOS, "frames"])
def test_the_recipe_travels_in_the_file(tmp_path, name):
    write(tmp_path / name, range(2), recipe=RECIPE)
    assert provenance.parse(clip.read_xmp(tmp_path / name))["recipe"] == RECIPE
    assert b"compositeWithTrainedAlgorithmicMedia" in clip.read_xmp(tmp_path / name)
    write(tmp_path / f"b{name}", range(2))
    assert provenance.parse(clip.read_xmp(tmp_path / f"b{name}"))["recipe"] is None


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.filterwarnings("error")
def test_one_frame_makes_a_clip(tmp_path, numbers, name):
    write(tmp_path / name, [3])
    assert numbers(clip.read(tmp_path / name)) == [3]
