"""Reading clips: decoded as they are asked for, upright, with their own time stamps."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.stream import VideoStream
from torch import Tensor

from impasto.clip import colour, frames
from impasto.clip.info import Frame, Info
from impasto.errors import ClipError, SettingsError, warn
from impasto.files import absent

LOCAL = {"protocol_whitelist": "file"}  # a playlist from a stranger opens no connection
LOOKED_AT = 200  # packets, to see whether the rate varies


@dataclass(frozen=True)
class Clip:
    """A clip, or a cut of it. Each `for frame in clip` reads it anew from the start of the cut."""

    path: Path
    info: Info
    start: Fraction  # of the cut, in seconds from the first frame
    origin: Fraction  # the same on the clock of the file
    length: Fraction | None  # of the cut, in seconds; None: to the end
    _frames: Callable[[], Iterator[Frame]]

    def __iter__(self) -> Iterator[Frame]:
        return self._frames()


def read(
    path: str | PathLike[str],
    *,
    start: float | None = None,
    end: float | None = None,
    size: int | None = None,
    fps: float | Fraction | None = None,
    rate: float | Fraction = 24,
) -> Clip:
    """Open a video file (all that FFmpeg reads) or a folder of numbered pictures (PNG, TIFF, JPEG).

    A damaged clip gives what can be decoded, and then a warning with the count of its frames.

    Args:
        start, end: of the cut, seconds from the first frame; frames from `start` up to but without `end`.
        size: longer side in pixels of what comes out, by default as it is.
        fps: give the nearest frame at each tick of this rate instead of every frame at its own time.
        rate: frames per second of a folder, which does not say.

    Raises:
        ClipError: no such file, nothing to see in it, no decoder; while reading: no frame in the cut.
        SettingsError: a cut that ends before it starts, a size or rate of nothing.
    """
    path = Path(path)
    begin, stop = _seconds(start or 0), None if end is None else _seconds(end)
    if begin < 0 or (stop is not None and stop <= begin):
        raise SettingsError(f"the cut from {float(begin):g} s to {end} s has no length; end it later than it starts")
    if size is not None and size < 1:
        raise SettingsError(f"size is the longer side in pixels, 1 or more, not {size}")
    if not (fps is None or fps > 0) or not rate > 0:
        raise SettingsError("a rate is more than 0 frames per second")
    length = None if stop is None else stop - begin
    if path.is_dir():
        folder = frames.Folder(path, _rate(rate), begin, stop, size)
        clip = Clip(path, folder.info, begin, begin, length, folder.frames)
    else:
        video = _Video(path, begin, stop, size)
        clip = Clip(path, video.info, begin, video.origin, length, video.frames)
    if fps is None:
        return clip
    ticks, info = _rate(fps), clip.info
    count = None if info.frames is None else ceil(info.frames / info.rate * ticks)
    return replace(
        clip,
        info=replace(info, rate=ticks, variable=False, frames=count),
        _frames=lambda: _at_rate(clip, ticks),
    )


def _seconds(value: float | Fraction) -> Fraction:
    """What the user wrote: 0.1 is a tenth, not the nearest binary number."""
    return Fraction(value).limit_denominator(1_000_000)


def _rate(value: float | Fraction) -> Fraction:
    """Frames per second, with 29.97 for 30000/1001."""
    television = Fraction(round(value) * 1000, 1001)
    meant = value != round(value) and f"{float(value):.2f}" == f"{float(television):.2f}"
    return television if meant else _seconds(value)


def _at_rate(clip: Clip, rate: Fraction) -> Iterator[Frame]:
    """The frame nearest to each tick."""
    before, tick = None, itertools.count()
    time = Fraction(next(tick)) / rate
    for frame in clip:
        while before is not None and abs(time - before.time) <= abs(frame.time - time):
            yield replace(before, time=time)
            time = next(tick) / rate
        before = frame
    while before is not None and time < before.time + 1 / clip.info.rate:
        yield replace(before, time=time)
        time = next(tick) / rate


class _Turn(NamedTuple):
    """How to set a frame upright: swap the axes first, then mirror."""

    swap: bool
    mirror_x: bool
    mirror_y: bool

    def applied(self, channels: Tensor) -> Tensor:
        if self.swap:
            channels = channels.transpose(2, 3)
        axes = [axis for axis, mirror in ((3, self.mirror_x), (2, self.mirror_y)) if mirror]
        return channels.flip(axes).contiguous()


class _Video:
    """A video file: what its header and first frame say, and its frames."""

    def __init__(self, path: Path, start: Fraction, end: Fraction | None, size: int | None) -> None:
        self.path, self.start, self.end = path, start, end
        with _opened(path) as (container, stream):
            times = _times(container, stream)
            self.tick = stream.time_base or Fraction(1, 90_000)
            duration = None if stream.duration is None else stream.duration * self.tick
            if duration is None and container.duration is not None:
                duration = Fraction(container.duration, av.time_base)
            rate = stream.average_rate or stream.guessed_rate or Fraction(24)
            aspect, counted = stream.sample_aspect_ratio or Fraction(1), stream.frames
            sound = any(track.codec_context is not None for track in container.streams.audio[:1])
            from_zero = "matroska" in container.format.name  # its duration; others count from the first frame
        with _opened(path) as (container, stream):
            first = next(_decoded(container, stream, []), None)
            if first is None:
                raise ClipError(f"{path} cannot be read: no frame of it can be decoded; was it copied in full?")
        self.zero = (first.pts or 0) * self.tick  # the file's clock at the first frame
        self.origin = self.zero + start
        if from_zero and duration is not None:
            duration -= self.zero
        self.turn = _turn(first)
        self.wanted_end = end if duration is None else min(duration, end or duration)
        steps = [(after - before) * self.tick for before, after in itertools.pairwise(times)]
        jitter = max(self.tick, Fraction(1, 900))  # containers that count milliseconds round up and down
        width, height = (first.height, first.width) if self.turn.swap else (first.width, first.height)
        scale = Fraction(size or max(width, height), max(width, height))
        count: int | None = None
        if counted and not start and end is None:
            count = counted
        elif self.wanted_end is not None:
            count = max(0, round((self.wanted_end - start) * rate))
        self.info = Info(
            width=max(1, round(width * scale)),
            height=max(1, round(height * scale)),
            rate=rate,
            variable=bool(steps) and max(steps) - min(steps) > jitter,
            aspect=1 / aspect if self.turn.swap else aspect,
            full_range=colour.is_yuv(first)
            and (first.color_range == colour.FULL or first.format.name.startswith("yuvj")),
            matrix=_matrix(first),
            primaries=first.color_primaries if first.color_primaries != 0 else 2,
            transfer=first.color_trc if first.color_trc != 0 else 2,
            alpha=colour.has_alpha(first),
            frames=count,
            sound=sound,
        )

    def frames(self, seek: bool = True) -> Iterator[Frame]:
        width, height = self.info.width, self.info.height
        stored = (height, width) if self.turn.swap else (width, height)
        faults: list[str] = []
        count, time, shown = 0, Fraction(0), 1 / self.info.rate
        with _opened(self.path) as (container, stream):
            stream.thread_type = "AUTO"
            seek = seek and self.start > 0
            if seek:
                with suppress(av.FFmpegError):  # what cannot seek is still at its beginning
                    container.seek(round(self.origin / self.tick), stream=stream)
            for number, frame in enumerate(_decoded(container, stream, faults)):
                time = (number / self.info.rate if frame.pts is None else frame.pts * self.tick) - self.origin
                if number == 0 and seek and (time > 0 or frame.pts is None):  # went too far
                    break
                if self.end is not None and time >= self.end - self.start:
                    break
                if time >= 0:
                    pixels, alpha = colour.to_tensors(frame, self.info, *stored)
                    shown = max(shown, frame.duration * self.tick)
                    count += 1
                    yield Frame(self.turn.applied(pixels), None if alpha is None else self.turn.applied(alpha), time)
        if count == 0 and seek:
            yield from self.frames(seek=False)
            return
        if count == 0:
            raise frames.nothing_in_cut(self.path, self.start, self.end, time + self.start + shown)
        short = self.wanted_end is not None and time + self.start + shown + 2 / self.info.rate < self.wanted_end
        if faults or short:
            warn(f"{self.path} is damaged or incomplete: {count} frames could be read")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and find its video."""
    try:
        container = av.open(f"file:{path}", "r", options=LOCAL)
    except FileNotFoundError as error:
        raise ClipError(absent(path)) from error
    except (OSError, av.FFmpegError, ValueError) as error:
        refused = isinstance(error, PermissionError)
        why = "no permission" if refused else "it is damaged, cut off, or not a video"
        raise ClipError(f"{path} cannot be read: {why}") from error
    with container:
        # The cover of a song counts as a video stream.
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise ClipError(f"{path} has no video in it; give a video file or a folder of numbered frames")
        if streams[0].codec_context is None:
            raise ClipError(f"{path}: there is no decoder for its kind of video; convert it to H.264 first")
        yield container, streams[0]


def _decoded(container: InputContainer, stream: VideoStream, faults: list[str]) -> Iterator[av.VideoFrame]:
    """Every frame that can be decoded, in the order of display; what is wrong is noted in `faults`."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            faults.append(str(error))
            packet = None
        if packet is not None and packet.is_corrupt:  # cut off in its middle
            faults.append("corrupt packet")
            continue
        decoded: list[av.VideoFrame] = []
        try:
            decoded = stream.decode(packet)
        except EOFError:  # was emptied already
            return
        except av.FFmpegError as error:
            faults.append(str(error))
        for frame in decoded:
            if frame.is_corrupt:
                faults.append("corrupt frame")
            yield frame
        if packet is None:
            return


def _times(container: InputContainer, stream: VideoStream) -> list[int]:
    """The time stamps of the first packets, in the order of display."""
    times: list[int] = []
    with suppress(av.FFmpegError):  # damage is dealt with when frames are read
        for packet in itertools.islice(container.demux(stream), LOOKED_AT):
            if packet.pts is not None:
                times.append(packet.pts)
    return sorted(times)


def _turn(frame: av.VideoFrame) -> _Turn:
    """Read the display matrix: (x, y) of the stored frame goes to (a x + c y, b x + d y)."""
    data = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]  # PyAV's types know motion vectors
    if data is None:
        return _Turn(False, False, False)
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).tolist()
    swap = abs(b) > abs(a)
    return _Turn(swap, (c if swap else a) < 0, (b if swap else d) < 0)


def _matrix(frame: av.VideoFrame) -> int:
    if not colour.is_yuv(frame):
        return 1
    if frame.colorspace in colour.WEIGHTS:
        return frame.colorspace
    return 1 if frame.height >= colour.HD_HEIGHT else 6
