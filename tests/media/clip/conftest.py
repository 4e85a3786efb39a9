"""Clips made with PyAV alone."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

Film = Callable[..., Path]


def greys(count: int, height: int = 32, width: int = 48) -> list[np.ndarray]:
    """Frames that can be told from their neighbours by their grey."""
    return [np.full((height, width, 3), 20 + 7 * (i % 30), np.uint8) for i in range(count)]


@pytest.fixture(name="greys")
def _greys() -> Callable[..., list[np.ndarray]]:
    return greys


@pytest.fixture
def numbers() -> Callable[[Iterable[Any]], list[int]]:
    """Which of `greys` each frame is."""
    return lambda frames: [round((float(frame.pixels.mean()) * 255 - 20) / 7) for frame in frames]


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """Write arrays of any layout that PyAV takes as a video file."""

    def make(
        name: str,
        arrays: Sequence[np.ndarray],
        *,
        layout: str = "rgb24",
        codec: str = "libx264",
        pixels: str = "yuv420p",
        rate: Fraction | int = 24,
        times: Sequence[Fraction] | None = None,
        size: tuple[int, int] | None = None,  # height, width, where the array does not say
        rotation: tuple[int, bool] | None = None,
        aspect: Fraction | None = None,
        options: dict[str, str] | None = None,
        movflags: str = "",
        sound: str | None = None,
        **tags: int,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
            stream: Any = container.add_stream(
                codec, rate=rate, options={"crf": "10", "g": "12"} if options is None else options
            )
            stream.height, stream.width = size or arrays[0].shape[:2]
            stream.pix_fmt = pixels
            tick = Fraction(1, 9_000) if times else 1 / Fraction(rate)
            stream.codec_context.time_base = tick
            if rotation is not None:
                stream.set_display_rotation(rotation[0], hflip=rotation[1])
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            for tag, value in tags.items():
                setattr(stream.codec_context, tag, value)
            if sound is not None:
                track: Any = container.add_stream(sound, rate=48_000, layout="stereo")
            for index, array in enumerate(arrays):
                frame = av.VideoFrame.from_ndarray(array, format=layout)
                if "colorspace" in tags:
                    frame.colorspace = tags["colorspace"]
                if "color_range" in tags:
                    frame.color_range = tags["color_range"]
                frame.pts, frame.time_base = round(times[index] / tick) if times else index, tick
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            if sound is not None:
                seconds = float(len(arrays) / Fraction(rate))
                wave = np.sin(np.arange(round(seconds * 48_000)) * 0.06).astype(np.float32)
                samples = av.AudioFrame.from_ndarray(np.stack([wave, -wave]), format="fltp", layout="stereo")
                samples.sample_rate, samples.pts = 48_000, 0
                container.mux(track.encode(samples))
                container.mux(track.encode())
        return path

    return make
