"""Folders of numbered frames, in and out."""

from fractions import Fraction

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from impasto.errors import ClipError
from impasto.media import clip
from impasto.media.clip.info import Info


def info(**changes):
    return Info(**{"width": 8, "height": 6, "rate": Fraction(24), **changes})


def save(folder, name, value, size=(8, 6)):
    folder.mkdir(exist_ok=True)
    Image.new("RGB", size, (value,) * 3).save(folder / name)


def test_frames_come_in_the_order_of_their_numbers_and_gaps_close(tmp_path):
    for number in (1, 2, 10, 9, 100):
        save(tmp_path / "in", f"shot{number}.png", number)
    save(tmp_path / "in", "cover.png", 255)
    (tmp_path / "in" / "notes1.txt").touch()
    (tmp_path / "in" / "._shot1.png").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X        ")  # which macOS leaves beside
    read = clip.read(tmp_path / "in", rate=10)
    with pytest.warns(UserWarning, match=r"2 of what is in it is left out, .*: cover\.png, notes1\.txt$"):
        frames = list(read)
    assert [round(float(frame.pixels.mean()) * 255) for frame in frames] == [1, 2, 9, 10, 100]
    assert [frame.time for frame in frames] == [Fraction(i, 10) for i in range(5)]
    assert (read.info.width, read.info.height, read.info.rate, read.info.frames) == (8, 6, 10, 5)


@pytest.mark.parametrize(("rate", "wanted"), [(4, 4), (24, 24), (29.97, Fraction(30000, 1001)), (12.5, 12.5)])
def test_rates_are_what_people_mean_by_them(tmp_path, rate, wanted):
    save(tmp_path / "in", "1.png", 9)
    assert clip.read(tmp_path / "in", rate=rate).info.rate == wanted


def test_a_folder_is_cut_and_reduced_like_a_video(tmp_path):
    for number in range(10):
        save(tmp_path / "in", f"{number}.jpg", 20 * number, (16, 8))
    read = clip.read(tmp_path / "in", start=0.25, end=0.8, size=4, rate=10)
    frames = list(read)
    assert [frame.time for frame in frames] == [Fraction(i, 20) for i in (1, 3, 5, 7, 9)]
    assert [float(f.pixels.mean()) * 255 for f in frames] == pytest.approx([60, 80, 100, 120, 140], abs=2)
    assert frames[0].pixels.shape == (1, 3, 2, 4)
    with pytest.raises(ClipError, match=r"lasts 1\.00 s"):
        clip.read(tmp_path / "in", start=5, rate=10)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_and_alpha_go_through_without_loss(tmp_path, suffix):
    (tmp_path / "in").mkdir()
    rgba = np.random.default_rng(0).integers(0, 65536, (6, 8, 4), dtype=np.uint16)
    if suffix == "png":
        (tmp_path / "in" / "f_001.png").write_bytes(imagecodecs.png_encode(rgba))
    else:
        tifffile.imwrite(tmp_path / "in" / "f_001.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    read = clip.read(tmp_path / "in")
    assert read.info.alpha
    with clip.write(tmp_path / "out" / f"g_%03d.{suffix}", read.info, bits=16) as out:
        for frame in read:
            out.add(frame.pixels, frame.time, frame.alpha)
    made = tmp_path / "out" / f"g_001.{suffix}"
    again = imagecodecs.png_decode(made.read_bytes()) if suffix == "png" else tifffile.imread(made)
    assert np.array_equal(again, rgba)


def test_a_damaged_frame_is_left_out_with_a_warning(tmp_path):
    for number in range(3):
        save(tmp_path / "in", f"{number}.png", 50 * number)
    (tmp_path / "in" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.warns(UserWarning, match="2 of 3 frames"):
        frames = list(clip.read(tmp_path / "in"))
    assert [frame.time for frame in frames] == [0, Fraction(2, 24)]


def test_frames_of_another_shape_are_named(tmp_path):
    save(tmp_path / "in", "1.png", 0)
    save(tmp_path / "in", "2.png", 0, (6, 8))
    with pytest.raises(ClipError, match=r"2\.png has another shape"):
        list(clip.read(tmp_path / "in"))


def test_writing_goes_on_where_it_stopped(tmp_path):
    folder, shades = tmp_path / "out", [torch.full((1, 3, 6, 8), i / 10) for i in range(6)]
    with pytest.raises(KeyboardInterrupt), clip.write(folder, info(), recipe={"a": 1}) as out:
        for shade in shades[:3]:
            out.add(shade, 0)
        raise KeyboardInterrupt
    with pytest.raises(ClipError, match="there already"):
        clip.write(folder, info(), recipe={"a": 1})
    with pytest.raises(ClipError, match="other settings"):
        clip.write(folder, info(), recipe={"a": 2}, resume=True)
    with clip.write(folder, info(), recipe={"a": 1}, resume=True) as out:
        assert out.done == out.kept == 3
        out.state.touch()
        for shade in shades[3:]:
            out.add(shade, 0)
    assert sorted(file.name for file in folder.iterdir()) == [f"frame_{i:05}.png" for i in range(1, 7)]
    frames = [float(frame.pixels.mean()) for frame in clip.read(folder)]
    assert frames == pytest.approx([i / 10 for i in range(6)], abs=0.003)


def test_a_pattern_has_one_number(tmp_path):
    with pytest.raises(ClipError, match="one number"):
        clip.write(tmp_path / "frame_%s.png", info())
    with pytest.raises(ClipError, match="one number"):
        clip.write(tmp_path / "50% off.tif", info())


@pytest.mark.parametrize("name", ["sale 50% off.mp4", "100%d.mkv", "%05d.webm", "%s.mov", "a%%.gif", "50%25.mp4"])
def test_a_percent_sign_is_part_of_the_name_of_a_video(tmp_path, name):
    with clip.write(tmp_path / name, info(width=32, height=32)) as out:
        out.add(torch.full((1, 3, 32, 32), 0.5), 0)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert len(list(clip.read(tmp_path / name))) == 1


def test_a_percent_sign_is_part_of_the_name_of_a_folder(tmp_path):
    with clip.write(tmp_path / "sale 50% off", info()) as out:
        out.add(torch.full((1, 3, 6, 8), 0.5), 0)
    assert [file.name for file in (tmp_path / "sale 50% off").iterdir()] == ["frame_00001.png"]
    assert len(list(clip.read(tmp_path / "sale 50% off"))) == 1


def test_a_folder_of_companions_alone_has_no_frames(tmp_path):
    (tmp_path / "._f1.png").write_bytes(b"\0\5\26\7")
    with pytest.raises(ClipError, match="no numbered frames"):
        clip.read(tmp_path)


def test_jpeg_frames_say_that_they_have_no_transparency(tmp_path):
    half = torch.full((1, 1, 6, 8), 0.5)
    with pytest.warns(UserWarning, match="laid on white") as said, clip.write(tmp_path / "f%d.jpg", info()) as out:
        out.add(torch.zeros(1, 3, 6, 8), 0, half)
        out.add(torch.zeros(1, 3, 6, 8), 0, half)
    assert len(said) == 1
