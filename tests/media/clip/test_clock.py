"""Clips joined by `cat`: the clock goes on where time stamps jump, and the sound stays with the picture."""

from fractions import Fraction

import av
import numpy as np
import pytest

from impasto.media import clip


def stream(path, flash, begins=0, *, sound_begins=None, seconds=1):
    """A transport stream of a second or more with a flash and a beep at `flash`; its clock begins at `begins`."""
    with av.open(str(path), "w", format="mpegts", options={"mpegts_copyts": "1"}) as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        packets = []
        for index in range(25 * seconds):
            lit = flash <= index / 25 < flash + 0.16
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 230 if lit else 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += [(packet, begins) for packet in video.encode(frame)]
        packets += [(packet, begins) for packet in video.encode()]
        time = np.arange(48_000 * seconds) / 48_000
        wave = np.where((time >= flash) & (time < flash + 0.16), np.sin(6000 * time), 0)
        samples = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
        samples.sample_rate, samples.pts, samples.time_base = 48_000, 0, Fraction(1, 48_000)
        begun = begins if sound_begins is None else sound_begins
        packets += [(packet, begun) for packet in [*audio.encode(samples), *audio.encode()]]
        for packet, offset in sorted(packets, key=lambda p: p[0].dts * p[0].time_base):
            ticks = round((offset + 2) / packet.time_base)  # all is later than 0
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
            container.mux(packet)
    return path.read_bytes()


def written(read, path):
    with clip.write(path, read.info, of=read) as out:
        for frame in read:
            out.add(frame.pixels, frame.time, frame.alpha, frame.duration)
    return path


def flashes(path):
    lit = [float(frame.time) for frame in clip.read(path) if frame.pixels.mean() > 0.5]
    return begins(lit)


def beeps(path):
    with av.open(str(path)) as container:
        loud = [
            frame.pts * float(frame.time_base) + place / frame.sample_rate
            for frame in container.decode(audio=0)
            for place in np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.3)
        ]
    return begins(loud)


def begins(times):
    return [time for before, time in zip([-1, *times], times) if time - before > 0.1]  # noqa: B905


JUMPS = {"back": (0, 0), "far forward": (0, 5000), "far back": (5000, 0), "a little back": (0, 0.3)}


@pytest.mark.parametrize(("first", "second"), JUMPS.values(), ids=JUMPS)
@pytest.mark.filterwarnings("error")
def test_the_clock_goes_on_and_sound_and_picture_stay_together(tmp_path, first, second):
    (tmp_path / "a.ts").write_bytes(stream(tmp_path / "1.ts", 0.4, first) + stream(tmp_path / "2.ts", 0.2, second))
    read = clip.read(tmp_path / "a.ts")
    frames = list(read)
    assert [float(frame.time) for frame in frames] == pytest.approx([i / 25 for i in range(50)], abs=0.001)
    made = written(read, tmp_path / "b.mp4")
    assert flashes(made) == pytest.approx([0.4, 1.2], abs=0.02)
    assert beeps(made) == pytest.approx([0.4, 1.2], abs=0.04)


def test_a_cut_behind_a_jump_is_found(tmp_path):
    (tmp_path / "a.ts").write_bytes(b"".join(stream(tmp_path / f"{i}.ts", 0.4) for i in range(3)))
    made = written(clip.read(tmp_path / "a.ts", start=2.2, end=2.8), tmp_path / "b.webm")
    assert flashes(made) == pytest.approx([0.2], abs=0.02)
    assert beeps(made) == pytest.approx([0.2], abs=0.04)
    assert len(list(clip.read(made))) == 15


@pytest.mark.parametrize("jump", [500, -50])
def test_a_jump_of_the_sound_alone_does_not_move_the_picture(tmp_path, jump):
    first = stream(tmp_path / "1.ts", 0.4, 60)
    second = stream(tmp_path / "2.ts", 0.2, 61, sound_begins=61 + jump)
    (tmp_path / "a.ts").write_bytes(first + second)
    made = written(clip.read(tmp_path / "a.ts"), tmp_path / "b.mp4")
    assert flashes(made) == pytest.approx([0.4, 1.2], abs=0.02)
    assert beeps(made) == pytest.approx([0.4, 1.2], abs=0.05)
