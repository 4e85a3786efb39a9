"""Clips are read as they were made: every frame, upright, in true colours, at its time."""

import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import ClipError, SettingsError
from impasto.media import clip

LOSSLESS = {"codec": "ffv1", "options": {}}


def test_every_frame_comes_in_order_with_its_time(film, greys, numbers):
    read = clip.read(film("a.mp4", greys(30)))
    frames = list(read)
    assert numbers(frames) == list(range(30))
    assert [frame.time for frame in frames] == [Fraction(i, 24) for i in range(30)]
    assert (read.info.width, read.info.height, read.info.rate, read.info.frames) == (48, 32, 24, 30)
    assert frames[0].pixels.shape == (1, 3, 32, 48)
    assert frames[0].pixels.dtype == torch.float32
    assert frames[0].alpha is None
    assert not read.info.variable and not read.info.sound
    assert len(list(read)) == 30  # a second time


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.avi", "a.gif", "a.mov"])
def test_the_common_containers_are_read(film, greys, name):
    codec, pixels = {
        "a.webm": ("libvpx-vp9", "yuv420p"),
        "a.avi": ("mpeg4", "yuv420p"),
        "a.gif": ("gif", "rgb8"),
        "a.mov": ("prores_ks", "yuv422p10le"),
    }.get(name, ("libx264", "yuv420p"))
    layout = {"layout": "gray", "pixels": "gray"} if name == "a.gif" else {"pixels": pixels}
    arrays = [g[..., 0] if name == "a.gif" else g for g in greys(5)]
    frames = list(clip.read(film(name, arrays, codec=codec, rate=25, options={}, **layout)))
    assert [float(f.pixels.mean()) * 255 for f in frames] == pytest.approx([20, 27, 34, 41, 48], abs=3)
    assert [float(frame.time) for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16], abs=0.001)


def test_a_variable_rate_keeps_each_time_stamp(film, greys):
    times = [Fraction(n, 100) for n in (0, 4, 9, 30, 31, 50)]
    read = clip.read(film("a.mp4", greys(6), times=times))
    assert read.info.variable
    assert [frame.time for frame in read] == times


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_pictures_are_turned_upright(film, degrees, mirrored):
    quarters = np.zeros((32, 48, 3), np.uint8)
    quarters[:16, :24], quarters[:16, 24:], quarters[16:, :24] = 250, 170, 90
    read = clip.read(film("a.mp4", [quarters], rotation=(degrees, mirrored)))
    upright = np.rot90(quarters, degrees // 90)  # both count against the clock
    if mirrored:
        upright = upright[:, ::-1]
    (frame,) = read
    assert (read.info.height, read.info.width) == upright.shape[:2]
    assert np.abs(frame.pixels[0].permute(1, 2, 0).numpy() * 255 - upright).mean() < 3


def test_the_shape_of_pixels_is_known_and_turned(film, greys):
    assert clip.read(film("a.mp4", greys(1), aspect=Fraction(4, 3))).info.aspect == Fraction(4, 3)
    assert clip.read(film("b.mp4", greys(1), aspect=Fraction(4, 3), rotation=(90, False))).info.aspect == Fraction(3, 4)


def rgb_of(luma, blue, red, kr, kb, full, bits):
    """ITU-T H.273, equations 38 to 43 and their full-range counterparts, solved for R, G, B in [0, 1]."""
    scale = 2 ** (bits - 8)
    if full:
        y, pb, pr = luma / (2**bits - 1), (blue - 128 * scale) / (2**bits - 1), (red - 128 * scale) / (2**bits - 1)
    else:
        y, pb, pr = (luma / scale - 16) / 219, (blue / scale - 128) / 224, (red / scale - 128) / 224
    r, b = y + 2 * (1 - kr) * pr, y + 2 * (1 - kb) * pb
    return np.array([r, (y - kr * r - kb * b) / (1 - kr - kb), b])


@pytest.mark.parametrize(("matrix", "kr", "kb"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114), (9, 0.2627, 0.0593)])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_colours_follow_matrix_and_range(film, matrix, kr, kb, full, bits):
    for luma, blue, red in [(120, 100, 160), (90, 150, 110), (180, 120, 130)]:
        code = np.array([luma, blue, red]) * 2 ** (bits - 8) + (bits == 10)
        planes = np.broadcast_to(code[:, None, None], (3, 32, 48)).astype(np.uint8 if bits == 8 else np.uint16)
        kind = {8: "yuv444p", 10: "yuv422p10le"}[bits]
        tags = {"colorspace": matrix, "color_range": 2 if full else 1}
        path = film("a.mkv", [planes], layout=kind, pixels=kind, size=(32, 48), **tags, **LOSSLESS)
        read = clip.read(path)
        assert (read.info.matrix, read.info.full_range) == (matrix, full)
        (frame,) = read
        found = frame.pixels[0, :, 16, 24].numpy()
        assert np.abs(found - rgb_of(*code, kr, kb, full, bits)).max() < (1 / 255 if bits == 8 else 1 / 1023)


@pytest.mark.parametrize(("height", "matrix"), [(718, 6), (720, 1)])
def test_untagged_clips_are_taken_for_what_their_height_says(film, greys, height, matrix):
    assert clip.read(film("a.mp4", greys(1, height, 48))).info.matrix == matrix


def test_alpha_comes_along(film):
    rgba = np.full((32, 48, 4), 200, np.uint8)
    rgba[..., 3] = np.linspace(0, 255, 48).astype(np.uint8)
    read = clip.read(film("a.mov", [rgba], layout="rgba", **{**LOSSLESS, "codec": "png"}, pixels="rgba"))
    (frame,) = read
    assert read.info.alpha
    assert torch.equal(frame.alpha[0, 0, 5], torch.from_numpy(rgba[5, :, 3] / np.float32(255)))


def test_a_cut_begins_and_ends_exactly(film, greys, numbers):
    path = film("a.mp4", greys(30))
    read = clip.read(path, start=0.5, end=1.0)  # frame 12 is a key frame, but the next cut begins between two
    frames = list(read)
    assert numbers(frames) == list(range(12, 24))
    assert frames[0].time == 0
    assert read.info.frames == 12
    frames = list(clip.read(path, start=0.7))
    assert numbers(frames) == list(range(17, 30))
    assert frames[0].time == Fraction(17, 24) - Fraction(7, 10)


def test_files_that_cannot_seek_are_cut_all_the_same(film, greys):
    path = film("a.gif", [g[..., 0] for g in greys(20)], codec="gif", layout="gray", pixels="gray", rate=10, options={})
    assert len(list(clip.read(path, start=1.5))) == 5


@pytest.mark.parametrize("cut", [{}, {"start": 0.5, "end": 0.8}])
def test_bare_video_without_time_stamps_says_how_long_it_is(film, greys, cut):
    read = clip.read(film("a.h264", greys(25), rate=25), **cut)
    assert len(list(read)) == read.info.frames == (7 if cut else 25)


def test_raw_dv_has_the_rate_of_its_frames(film, greys):
    path = film("a.dv", greys(3, 576, 720), codec="dvvideo", rate=25, sound="pcm_s16le", options={})
    read = clip.read(path, size=48)
    assert (read.info.rate, read.info.frames) == (25, 3)


def test_size_is_the_longer_side(film, greys):
    read = clip.read(film("a.mp4", greys(1, 32, 48), rotation=(90, False)), size=24)
    (frame,) = read
    assert frame.pixels.shape == (1, 3, 24, 16)
    assert (read.info.height, read.info.width) == (24, 16)


@pytest.mark.parametrize(("fps", "expected"), [(12, [0, 2, 4]), (48, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])])
def test_another_rate_takes_the_frame_on_screen(film, greys, numbers, fps, expected):
    read = clip.read(film("a.mp4", greys(6)), fps=fps)
    frames = list(read)
    assert numbers(frames) == expected
    assert [frame.time for frame in frames] == [Fraction(i, fps) for i in range(len(expected))]
    assert (read.info.frames, read.info.rate) == (len(expected), fps)


def test_a_truncated_file_gives_what_is_left_and_warns(film, tmp_path):
    noise = [np.random.default_rng(i).integers(0, 255, (64, 64, 3), dtype=np.uint8) for i in range(24)]
    whole = film("a.mp4", noise, movflags="+faststart").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.warns(UserWarning, match=r"incomplete: \d+ frames could be read") as caught:
        frames = list(clip.read(tmp_path / "cut.mp4"))
    assert 12 <= len(frames) <= 18
    assert f": {len(frames)} frames" in str(caught[0].message)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(clip.read(tmp_path / "cut.mp4", end=0.2))  # the damage is further on


def test_what_is_no_clip_is_refused_in_one_line(film, greys, tmp_path):
    (tmp_path / "text.mp4").write_text("this is not a video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    whole = film("a.mp4", greys(24)).read_bytes()
    (tmp_path / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        track = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        silence.sample_rate = 8000
        container.mux(track.encode(silence))
    for name, why in [
        ("none.mp4", "does not exist"),
        ("text.mp4", "it is a text, not a clip"),
        ("empty.mp4", "not a clip"),
        ("headless.mp4", "cut off"),
        ("sound.wav", "no video in it"),
        ("folder", "no numbered frames"),
    ]:
        with pytest.raises(ClipError, match=why) as caught:
            clip.read(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ClipError, match=r"no frame from 3 s on: it lasts 1\.00 s"):
        list(clip.read(tmp_path / "a.mp4", start=3))
    with pytest.raises(SettingsError, match="no length"):
        clip.read(tmp_path / "a.mp4", start=3, end=2)


def test_a_missing_decoder_is_named(film, greys, tmp_path):
    path = film("a.mp4", greys(2))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(ClipError, match="no decoder"):
        clip.read(path)


def test_a_clip_of_one_frame_is_a_clip(film, greys, numbers):
    for name in ("a.mp4", "a.mkv"):
        assert numbers(clip.read(film(name, greys(1)))) == [0]


DELAYS = [100, 500, 200, 50, 1500]  # milliseconds
BEGINS = [Fraction(sum(DELAYS[:i]), 1000) for i in range(5)]
STANDS = [Fraction(delay, 1000) for delay in DELAYS]


@pytest.fixture(params=["a.gif", "a.png", "a.mp4", "a.mkv", "a.webm", "a.mov"])
def held(request, tmp_path):
    """A clip with unequal delays and a long hold on its last frame, in many containers."""
    frames = [Image.new("RGB", (48, 32), (20 + 40 * i,) * 3) for i in range(5)]
    if request.param in ("a.gif", "a.png"):
        frames[0].save(tmp_path / request.param, save_all=True, append_images=frames[1:], duration=DELAYS, loop=0)
    else:
        with clip.write(tmp_path / request.param, clip.Info(48, 32, Fraction(24))) as out:
            for index, time in enumerate(BEGINS):
                out.add(torch.full((1, 3, 32, 48), (20 + 40 * index) / 255), time, duration=STANDS[index])
    return tmp_path / request.param


def which(frames):
    """Which of the five frames of `held` these are."""
    return [round((float(frame.pixels.mean()) * 255 - 20) / 40) for frame in frames]


def test_each_frame_stands_as_long_as_it_did_the_last_one_too(held):
    frames = list(clip.read(held))
    assert [frame.time for frame in frames] == BEGINS
    assert [frame.duration for frame in frames] == STANDS


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [(0.05, None, [0, 1, 2, 3, 4]), (0.3, 0.5, [1]), (0.3, 0.7, [1, 2]), (1.2, None, [4]), (2.3, None, [4])],
)
def test_a_cut_begins_with_the_frame_on_screen(held, start, end, wanted):
    frames = list(clip.read(held, start=start, end=end))
    assert which(frames) == wanted
    assert frames[0].time == 0
    begin, stop = Fraction(str(start)), Fraction("2.35") if end is None else Fraction(str(end))
    assert frames[-1].time + frames[-1].duration == stop - begin
    with pytest.raises(ClipError, match=r"no frame from 2\.4 s on: it lasts 2\.35 s"):
        list(clip.read(held, start=2.4))


def test_another_rate_shows_what_was_on_screen(held):
    frames = list(clip.read(held, fps=10))
    assert which(frames) == [0, *[1] * 5, *[2] * 2, 3, *[4] * 15]


def test_a_cut_within_one_frame_shows_that_frame(film, greys, numbers, tmp_path):
    assert numbers(clip.read(film("a.mp4", greys(30)), start=0.71, end=0.72)) == [17]
    for number in range(3):
        Image.new("RGB", (48, 32), (20 + 7 * number,) * 3).save(tmp_path / f"{number}.png")
    with pytest.warns(UserWarning, match="a.mp4"):
        assert numbers(clip.read(tmp_path, start=0.13, end=0.14, rate=10)) == [1]


@pytest.mark.parametrize(("codec", "name"), [("libvpx-vp9", "a.webm"), ("libvpx", "a.webm"), ("libvpx", "a.mkv")])
def test_alpha_of_vp8_and_vp9_comes_along(film, codec, name):
    rgba = np.full((32, 48, 4), 160, np.uint8)
    rgba[:, 24:, 3] = 40
    path = film(name, [rgba] * 3, layout="rgba", codec=codec, pixels="yuva420p", options={"auto-alt-ref": "0"})
    read = clip.read(path)
    assert read.info.alpha
    for frame in read:
        assert float(frame.alpha[..., 4:20].mean()) * 255 == pytest.approx(160, abs=3)
        assert float(frame.alpha[..., 28:44].mean()) * 255 == pytest.approx(40, abs=3)


def test_a_palette_may_be_transparent(film):
    entries = np.zeros((256, 4), np.uint8)
    entries[1], entries[2] = (255, 200, 90, 30), (0, 10, 20, 30)  # alpha, red, green, blue
    indices = np.full((32, 48), 1, np.uint8)
    indices[:, :24] = 2
    path = film("a.mov", [(indices, entries)], layout="pal8", codec="png", pixels="pal8", size=(32, 48), options={})
    (frame,) = clip.read(path)
    assert frame.alpha[0, 0, 16, [12, 36]].tolist() == [0, 1]
    assert (frame.pixels[0, :, 16, 36] * 255).tolist() == pytest.approx([200, 90, 30])


def outlasted(path, video, sound, picture_seconds=1, sound_seconds=4):
    """A clip whose sound goes on after its picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(video, rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        track = container.add_stream(sound, rate=48_000, layout="stereo")
        track.bit_rate = 128_000
        packets = []
        for index in range(25 * picture_seconds):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 20 + index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            packets += stream.encode(frame)
        packets += stream.encode()
        for second in range(sound_seconds):
            kind = track.format.name
            wave = np.zeros((2, 48_000), np.float32) if kind.endswith("p") else np.zeros((1, 96_000), np.float32)
            samples = av.AudioFrame.from_ndarray(wave, "fltp" if kind.endswith("p") else "flt", "stereo")
            samples.sample_rate, samples.pts, samples.time_base = 48_000, 48_000 * second, Fraction(1, 48_000)
            packets += track.encode(samples)
        packets += track.encode()
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


LONG_SOUND = [
    ("a.mkv", "libx264", "aac"), ("a.flv", "libx264", "aac"), ("a.webm", "libvpx", "libopus"),
    ("a.ts", "libx264", "aac"), ("a.mpg", "mpeg2video", "mp2"), ("a.nut", "ffv1", "aac"),
    ("a.mp4", "libx264", "aac"), ("a.avi", "mpeg4", "mp3"), ("a.wmv", "wmv2", "wmav2"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "video", "sound"), LONG_SOUND)
@pytest.mark.filterwarnings("error")
def test_sound_that_goes_on_is_no_damage(tmp_path, name, video, sound):
    read = clip.read(outlasted(tmp_path / name, video, sound))
    assert len(list(read)) == 25
    assert read.info.frames == pytest.approx(25, abs=1)  # AVI counts one that is empty


@pytest.mark.parametrize("name", ["a.mkv", "a.flv"])
def test_a_clip_with_sound_that_broke_off_is_incomplete(tmp_path, name):
    path = outlasted(tmp_path / name, "libx264", "aac", picture_seconds=3, sound_seconds=3)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match="incomplete"):
        assert 0 < len(list(clip.read(path))) < 70


def test_frames_of_avi_keep_their_order_and_pace(film, numbers, greys):
    path = film("a.avi", greys(20), rate=25, options={"bf": "2", "b-adapt": "0"})
    frames = list(clip.read(path))
    assert numbers(frames) == list(range(20))
    assert [frame.time for frame in frames] == [Fraction(i, 25) for i in range(20)]


@pytest.mark.parametrize(("matrix", "full"), [(8, False), (8, True), (12, False)])
def test_simple_matrices_are_read(film, matrix, full):
    luma, blue, red = 120, 110, 140
    planes = np.broadcast_to(np.array([luma, blue, red])[:, None, None], (3, 32, 48)).astype(np.uint8)
    tags = {"colorspace": matrix, "color_range": 2 if full else 1}
    if matrix == 12:  # chroma-derived: that of BT.2020 from its primaries
        tags["color_primaries"] = 9
    read = clip.read(film("a.mkv", [planes], layout="yuv444p", pixels="yuv444p", size=(32, 48), **tags, **LOSSLESS))
    (frame,) = read
    if matrix == 8:  # H.273, equations 53 to 56
        y, cg, co = (
            (luma / 255, (blue - 128) / 255, (red - 128) / 255)
            if full
            else ((luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224)
        )
        wanted = np.array([y - cg + co, y + cg, y - cg - co])
    else:
        wanted = rgb_of(luma, blue, red, 0.2627, 0.0593, full, 8)
        to_709 = np.linalg.inv(
            [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
        )  # BT.2087
        light = to_709 @ np.where(wanted <= 0.04045, wanted / 12.92, ((wanted + 0.055) / 1.055) ** 2.4)
        wanted = 1.055 * light ** (1 / 2.4) - 0.055
    assert frame.pixels[0, :, 16, 24].numpy() == pytest.approx(wanted, abs=0.005)
    assert read.info.matrix == 1  # to be written so


@pytest.mark.parametrize(("matrix", "name"), [(10, "bt2020c"), (14, "ICtCp")])
def test_a_matrix_that_is_not_read_is_named(film, matrix, name):
    planes = np.full((3, 32, 48), 100, np.uint8)
    path = film("a.mkv", [planes], layout="yuv444p", pixels="yuv444p", size=(32, 48), colorspace=matrix, **LOSSLESS)
    with pytest.raises(ClipError, match=rf"a\.mkv cannot be read: .*{name}.*convert it to BT\.709"):
        clip.read(path)


def test_interlaced_frames_are_made_whole(film):
    frames = []
    for index in range(8):  # a bar that moves 4 pixels from field to field
        frame = np.full((64, 96, 3), 40, np.uint8)
        for field in (0, 1):
            at = 8 + 8 * index + 4 * field
            frame[field::2, at : at + 16] = 220
        frames.append(frame)
    path = film("a.mkv", frames, codec="mpeg2video", options={"flags": "+ildct+ilme", "b": "8000000"}, rate=25)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    read = list(clip.read(path))
    assert [float(frame.time) for frame in read] == pytest.approx([i / 25 for i in range(8)], abs=0.001)
    for frame, stored in zip(read, frames, strict=True):
        rows = frame.pixels[0].mean(0).numpy() * 255
        teeth = np.abs(np.diff(rows, axis=0)).mean()
        assert teeth < 0.25 * np.abs(np.diff(stored[..., 0].astype(float), axis=0)).mean()


def test_hidden_colours_of_a_clip_are_in_no_smaller_frame(film):
    y, x = np.mgrid[0:96, 0:144]
    inside = (x - 72) ** 2 + (y - 48) ** 2 < 30**2
    rgba = np.where(inside[..., None], 255, 0).astype(np.uint8).repeat(4, -1)  # a white disc on transparent black
    path = film("a.mov", [rgba], layout="rgba", **{**LOSSLESS, "codec": "png"}, pixels="rgba")
    (frame,) = clip.read(path, size=37)
    assert frame.pixels.shape[3] == 37 and ((frame.alpha > 0) & (frame.alpha < 1)).sum() > 0
    assert frame.pixels.min() > 1 - 1e-5
