"""Clips are read as they were made: every frame, upright, in true colours, at its time."""

import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from impasto import clip
from impasto.errors import ClipError, SettingsError

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


def test_size_is_the_longer_side(film, greys):
    read = clip.read(film("a.mp4", greys(1, 32, 48), rotation=(90, False)), size=24)
    (frame,) = read
    assert frame.pixels.shape == (1, 3, 24, 16)
    assert (read.info.height, read.info.width) == (24, 16)


@pytest.mark.parametrize(("fps", "expected"), [(12, [0, 2, 4]), (48, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5])])
def test_another_rate_takes_the_nearest_frame(film, greys, numbers, fps, expected):
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
        ("text.mp4", "not a video"),
        ("empty.mp4", "not a video"),
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


def test_hidden_colours_of_a_clip_are_in_no_smaller_frame(film):
    y, x = np.mgrid[0:96, 0:144]
    inside = (x - 72) ** 2 + (y - 48) ** 2 < 30**2
    rgba = np.where(inside[..., None], 255, 0).astype(np.uint8).repeat(4, -1)  # a white disc on transparent black
    path = film("a.mov", [rgba], layout="rgba", **{**LOSSLESS, "codec": "png"}, pixels="rgba")
    (frame,) = clip.read(path, size=37)
    assert frame.pixels.shape[3] == 37 and ((frame.alpha > 0) & (frame.alpha < 1)).sum() > 0
    assert frame.pixels.min() > 1 - 1e-5
