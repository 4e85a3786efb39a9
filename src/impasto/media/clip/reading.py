"""Reading clips: decoded as they are asked for, upright, with their own time stamps."""

import itertools
import re
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
from av.codec.codec import UnknownCodecError
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from torch import Tensor

from impasto.errors import ClipError, SettingsError, warn
from impasto.files import absent
from impasto.media.clip import colour, filters, frames, hdr
from impasto.media.clip.clock import Segment, continued, may_jump, segments
from impasto.media.clip.info import Frame, Info
from impasto.media.formats import why_not

LOCAL = {"protocol_whitelist": "file"}  # a playlist from a stranger opens no connection
LOOKED_AT = 200  # packets, to see whether the rate varies
VAGUE = Fraction(1, 4)  # second, to which containers state the length of all their streams together
JITTER = Fraction(1, 900)  # second: containers that count milliseconds round up and down


@dataclass(frozen=True)
class Clip:
    """A clip, or a cut of it. Each `for frame in clip` reads it anew from the start of the cut."""

    path: Path
    info: Info
    start: Fraction  # of the cut, in seconds from the first frame
    origin: Fraction  # the same on the clock of the file
    length: Fraction | None  # of the cut, in seconds; None: to the end
    jitter: Fraction  # seconds that time stamps may be off, because the container counts coarsely
    joints: tuple[Segment, ...]  # where the clock of the file jumps, if it does
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

    A damaged clip gives what can be decoded, and then a warning with the count of its frames. HDR and wide colours come
    as sRGB (`hdr.py`), interlaced frames deinterlaced.

    Args:
        start, end: of the cut, seconds from the first frame; frames from `start` up to but without `end`. A frame that
            stands for longer than others, or for all of the cut, is in it as well if it is on screen at `start`.
        size: longer side in pixels of what comes out, by default as it is.
        fps: give the frame on screen at each tick of this rate instead of every frame at its own time.
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
        clip = Clip(path, folder.info, begin, begin, length, JITTER, (), folder.frames)
    else:
        video = _Video(path, begin, stop, size)
        clip = Clip(path, video.info, begin, video.origin, length, video.jitter, video.joints, video.frames)
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
    """The frame on screen at each tick."""
    shown, tick, time = None, itertools.count(1), Fraction(0)
    for frame in clip:
        while shown is not None and time + clip.jitter < frame.time:
            yield replace(shown, time=time, duration=1 / rate)
            time = next(tick) / rate
        shown = frame
    while shown is not None and (time == 0 or time + clip.jitter < shown.time + (shown.duration or 0)):
        yield replace(shown, time=time, duration=1 / rate)
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
            # From PyAV 19 on, its fractions have a type of their own, which cannot be rounded and overflows.
            self.tick = Fraction(stream.time_base or Fraction(1, 90_000))
            times = _times(container, stream)
            whole = None if container.duration is None else Fraction(container.duration, av.time_base)
            own = _own_length(container, stream)
            steps = [(after - before) * self.tick for before, after in itertools.pairwise(times)]
            rate = Fraction(stream.average_rate or stream.guessed_rate or 24)
            if steps and rate * min(steps) > 2:  # of raw DV FFmpeg counts ticks
                rate = Fraction(stream.guessed_rate or 1 / min(steps))
            aspect, counted = Fraction(stream.sample_aspect_ratio or 1), stream.frames
            sound = any(track.codec_context is not None for track in container.streams.audio[:1])
            from_zero = "matroska" in container.format.name  # its lengths; others count from the first frame
            jumps = may_jump(container)
        lasts: Fraction | None = None  # of the video, in a file that has to be read through for it
        self.joints: tuple[Segment, ...] = ()
        if jumps or own is None:
            with _opened(path) as (container, stream):
                found, unstamped = segments(container, stream)
            lasts = unstamped / rate + (found[-1].end + found[-1].shift - found[0].start if found else 0)
            self.joints = found if jumps else ()
        self.joined = len(self.joints) > 1
        if self.joined:  # what the header says is of one of the parts
            own = lasts
        with _opened(path) as (container, stream):
            first = next(_decoded(container.demux(stream), _decoder(stream), []), None)
            if first is None and "webp" in container.format.name:
                raise ClipError(f"{path} cannot be read: WebP that moves is not; convert it to GIF or APNG first")
            if first is None:
                raise ClipError(f"{path} cannot be read: no frame of it can be decoded; was it copied in full?")
        self.zero = (first.pts or 0) * self.tick  # the file's clock at the first frame
        # AVI has no order of display: FFmpeg's guesses go back and forth, but the order of decoding is steady.
        self.behind = (first.dts or 0) - (first.pts or 0) if container.format.name == "avi" else None
        self.origin = self.zero + start
        if from_zero:
            whole, own = (None if length is None else length - self.zero for length in (whole, own))
        self.own, self.whole = own, whole  # seconds of the video, and of the longest stream, as far as the file says
        self.turn = _turn(first)
        length = lasts or own or whole
        stops = [*([] if length is None else [round(length * rate)]), *([] if end is None else [ceil(end * rate)])]
        width, height = (first.height, first.width) if self.turn.swap else (first.width, first.height)
        scale = Fraction(size or max(width, height), max(width, height))
        count: int | None = None
        if counted and not start and end is None:
            count = counted
        elif stops:
            count = max(1, min(stops) - ceil(start * rate))
        self.jitter = max(self.tick / 2, JITTER)
        try:
            matrix = colour.matrix_of(first)
        except ClipError as error:
            raise ClipError(f"{path} cannot be read: {error}") from error
        self.coded = Info(
            width=max(1, round(width * scale)),
            height=max(1, round(height * scale)),
            rate=rate,
            variable=bool(steps) and max(steps) - min(steps) > max(self.tick, JITTER),
            aspect=1 / aspect if self.turn.swap else aspect,
            full_range=colour.is_yuv(first)
            and (first.color_range == colour.FULL or first.format.name.startswith("yuvj")),
            matrix=matrix,
            primaries=first.color_primaries if first.color_primaries != 0 else 2,
            transfer=first.color_trc if first.color_trc != 0 else 2,
            alpha=colour.has_alpha(first),
            frames=count,
            sound=sound,
        )
        known = self.coded.matrix in colour.WEIGHTS
        self.info = hdr.converted(self.coded if known else replace(self.coded, matrix=1))  # as every player knows it

    def frames(self, seek: bool = True) -> Iterator[Frame]:
        if seek and self.coded.transfer in hdr.NAMES:  # else it was said
            warn(f"{self.path} is HDR ({hdr.NAMES[self.coded.transfer]}); painted in SDR")
        length = None if self.end is None else self.end - self.start
        faults: list[str] = []
        count, reached, over = 0, Fraction(0), False
        waiting: tuple[av.VideoFrame, Fraction] | None = None  # for the next one, which says how long it stands
        with _opened(self.path) as (container, stream):
            stream.thread_type = "AUTO"
            seek = seek and self.start > 0 and not self.joined
            if seek:
                with suppress(av.FFmpegError):  # what cannot seek is still at its beginning
                    container.seek(round(self.origin / self.tick), stream=stream)
            ends: list[Fraction] = []  # of the packets of all streams
            packets = continued(_noted(container, stream, ends), self.joints)
            decoded = _decoded(packets, _decoder(stream), faults, self.joined)
            for number, frame in enumerate(filters.deinterlaced(self._stamped(decoded), self.tick)):
                time = (number / self.info.rate if frame.pts is None else frame.pts * self.tick) - self.origin
                if number == 0 and seek and (time > 0 or frame.pts is None):  # went too far
                    break
                over = length is not None and time >= length
                if waiting is not None and self._is_in_cut(waiting[1], time, over):
                    count += 1
                    yield self._frame(*waiting, time if length is None else min(time, length))
                waiting = frame, time
                if over:
                    break
            else:
                if waiting is not None:
                    frame, time = waiting
                    reached = time + (frame.duration * self.tick or 1 / self.info.rate)
                    if self._is_in_cut(waiting[1], reached, True):
                        count += 1
                        yield self._frame(*waiting, reached if length is None else min(reached, length))
        if count == 0 and seek:
            yield from self.frames(seek=False)
            return
        if count == 0:
            raise frames.nothing_in_cut(self.path, self.start, self.end, reached + self.start)
        if faults or not (over or self._is_complete(reached, max(ends, default=Fraction(0)))):
            warn(f"{self.path} is damaged or incomplete: {count} frames could be read")

    def _stamped(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        before = None
        for frame in frames:
            if self.behind is not None:
                step = max(1, round(1 / self.info.rate / self.tick))
                stamp = None if frame.dts is None else frame.dts - self.behind
                frame.pts = before = stamp if stamp is not None or before is None else before + step
            yield frame

    def _is_in_cut(self, time: Fraction, until: Fraction, last: bool) -> bool:
        """Whether a frame that stands from `time` to `until`, seconds from the start of the cut, belongs to it."""
        if time >= 0:
            return self.end is None or time < self.end - self.start
        long = self.info.variable or until > 1 / self.info.rate + self.jitter
        return until > 0 and (last or long)

    def _frame(self, frame: av.VideoFrame, time: Fraction, until: Fraction) -> Frame:
        width, height = self.info.width, self.info.height
        pixels, alpha = colour.to_tensors(frame, self.coded, *((height, width) if self.turn.swap else (width, height)))
        pixels = self.turn.applied(hdr.to_srgb(pixels, self.coded))
        time = max(time, Fraction(0))
        return Frame(pixels, None if alpha is None else self.turn.applied(alpha), time, until - time)

    def _is_complete(self, reached: Fraction, furthest: Fraction) -> bool:
        """Whether a clip that was read to its end got as far as it says.

        Args:
            reached: by the picture, seconds from the start of the cut.
            furthest: by any stream, seconds on the clock of the file. Many containers state one length for all.
        """
        if self.own is not None:
            return reached + self.start + 2 / self.info.rate >= self.own
        return self.whole is None or max(furthest, reached + self.start) + VAGUE >= self.whole


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and find its video."""
    try:
        container = av.open(f"file:{path}", "r", options=LOCAL)
    except FileNotFoundError as error:
        raise ClipError(absent(path)) from error
    except (OSError, av.FFmpegError, ValueError) as error:
        why = "no permission" if isinstance(error, PermissionError) else why_not(path, "a clip")
        raise ClipError(f"{path} cannot be read: {why}") from error
    with container:
        # The cover of a song counts as a video stream.
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise ClipError(f"{path} has no video in it; give a video file or a folder of numbered frames")
        if streams[0].codec_context is None:
            raise ClipError(f"{path}: there is no decoder for its kind of video; convert it to H.264 first")
        yield container, streams[0]


def _own_length(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds that the video lasts, without what goes on after it; None where the file does not say."""
    for name, text in stream.metadata.items():
        clock = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", text) if name.upper().startswith("DURATION") else None
        if clock:  # Matroska
            return 3600 * int(clock[1]) + 60 * int(clock[2]) + Fraction(clock[3])
    if stream.duration is None or not stream.time_base or container.format.name == "asf":  # which has one for all
        return None
    return stream.duration * stream.time_base


def _noted(container: InputContainer, stream: VideoStream, ends: list[Fraction]) -> Iterator[av.Packet]:
    """The packets of the video; where those of all streams end goes into `ends`, the latest as its only item."""
    for packet in container.demux(stream, *container.streams.audio):
        if packet.pts is not None and packet.time_base:
            ends[:] = [max(*ends, (packet.pts + (packet.duration or 0)) * packet.time_base, Fraction(0))]
        if packet.stream_index == stream.index:
            yield packet


def _decoder(stream: VideoStream) -> VideoCodecContext:
    """The decoder of a stream; that of libvpx where VP8 or VP9 has alpha, which FFmpeg's own leaves out."""
    names = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
    codec = stream.codec_context
    tags = {name.lower(): text for name, text in stream.metadata.items()}
    if tags.get("alpha_mode") == "1" and codec.name in names:
        with suppress(UnknownCodecError):
            other = VideoCodecContext.create(names[codec.name], "r")
            assert isinstance(other, VideoCodecContext)
            return other
    return codec


def _decoded(
    packets: Iterator[av.Packet], decoder: VideoCodecContext, faults: list[str], joined: bool = False
) -> Iterator[av.VideoFrame]:
    """Every frame that can be decoded, in the order of display; what is wrong is noted in `faults`.

    Where clips were `joined`, FFmpeg takes the packets beside the joint for damaged, though they are whole.
    """
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            faults.append(str(error))
            packet = None
        if packet is not None and packet.is_corrupt and not joined:  # cut off in its middle
            faults.append("corrupt packet")
            continue
        decoded: list[av.VideoFrame] = []
        try:
            decoded = decoder.decode(packet)
        except EOFError:  # was emptied already
            return
        except av.FFmpegError as error:
            faults.append(str(error))
        for frame in decoded:
            if frame.is_corrupt and not joined:
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
