"""Animations as other readers see them."""

import av
import numpy as np
import pytest
import torch
from PIL import Image

from impasto import provenance
from impasto.errors import ClipError, OutputError
from impasto.media import animation
from impasto.media.clip.writing import VideoWriter
from impasto.media.inspect import inspect

RECIPE = {"command": "sample", "settings": {"seed": 3}}


def frames(n=5, height=31, width=47):
    """From black to white, in odd sizes."""
    return [torch.full((1, 3, height, width), i / (n - 1)) for i in range(n)]


def test_a_gif_has_every_frame_and_holds_the_last(tmp_path):
    animation.save(frames(), tmp_path / "a.gif", RECIPE, fps=10)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (47, 31)
        levels, seconds = [], 0.0
        for index in range(gif.n_frames):
            gif.seek(index)
            seconds += gif.info["duration"] / 1000
            levels.append(np.asarray(gif.convert("RGB")).mean() / 255)
    assert levels[:5] == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.02)
    assert levels[5:] == pytest.approx([1] * 15, abs=0.02)
    assert seconds == pytest.approx(0.5 + animation.HOLD, abs=0.05)


def test_an_mp4_plays_at_the_speed_asked_for_and_pads_odd_sizes(tmp_path):
    animation.save(frames(), tmp_path / "a.mp4", RECIPE, fps=10)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (48, 32, 10)
        levels = [frame.to_ndarray(format="rgb24").mean() / 255 for frame in container.decode(stream)]
    assert len(levels) == 5 + 15
    assert levels[:5] == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.03)


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
def test_an_animation_says_what_drew_it_and_that_an_ai_did(tmp_path, name):
    animation.save(frames(), tmp_path / name, RECIPE)
    found = inspect(tmp_path / name)
    assert found["recipe"] == RECIPE
    assert found["labels"]["DigitalSourceType"] == provenance.DRAWN


def test_other_extensions_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ClipError, match=r"\.gif or \.mp4"):
        animation.save(frames(), tmp_path / "a.avi", RECIPE)
    with pytest.raises(OutputError, match="create it first"):
        animation.save(frames(), tmp_path / "none" / "a.gif", RECIPE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_an_animation_that_fails_leaves_nothing(tmp_path, monkeypatch, name, error):
    add = VideoWriter.add

    def full(self, pixels, time):
        add(self, pixels, time)
        if self.done == 3:
            raise error

    monkeypatch.setattr(VideoWriter, "add", full)
    (tmp_path / name).write_bytes(b"an earlier one")
    with pytest.raises(type(error)):
        animation.save(frames(), tmp_path / name, RECIPE)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(name, b"an earlier one")]
