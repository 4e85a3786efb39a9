"""Writing clips: streamed to disk, safe from interruption, in the format that the name asks for.

A video is encoded into a part file beside the output, CLIP.mp4.part0.mp4, fragmented so that it can be read up to the
last frame whatever happens. At the end the packets of all parts and the sound are joined into the output, without
coding them again. There are no B frames: packets are in the order of display, so a crash tears no hole into the frames,
and parts follow each other simply.
"""

import heapq
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import torch
import torch.nn.functional as F
from av.codec.codec import UnknownCodecError
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream
from torch import Tensor

from impasto.errors import ClipError, SettingsError, warn
from impasto.files import check_place, replacing
from impasto.media.clip import along, colour, gif, parts, sound, tags
from impasto.media.clip.frames import FrameWriter, pattern_of
from impasto.media.clip.info import Info
from impasto.media.clip.reading import Clip
from impasto.media.picture import Picture, resize

FINISHED = {".mp4": {"movflags": "+faststart+use_metadata_tags"}, ".mov": {"movflags": "+faststart+use_metadata_tags"}}


@dataclass(frozen=True)
class _Coding:
    """How a format codes its pictures."""

    codec: str
    pixels: str
    part: str  # the container of parts
    options: dict[str, str] = field(default_factory=dict)
    crf: int | None = None  # its own scale of quality, if it has one: lower is better
    with_alpha: tuple[str, dict[str, str]] | None = None  # pixel format and options for clips with alpha
    aspect: bool = True  # keeps pixels that are not square


# No B frames makes files 15 and 23 % larger (90 frames of two clips, long side 360). A crash loses what the lookahead
# holds back, so it is short, which costs nothing.
_H264 = _Coding("libx264", "yuv420p", "mp4", {"bf": "0", "rc-lookahead": "10"}, crf=18)
FORMATS = {
    ".mp4": _H264,
    ".mkv": _H264,
    ".webm": _Coding(
        "libvpx-vp9",
        "yuv420p",
        "webm",
        {"cpu-used": "4", "row-mt": "1", "lag-in-frames": "10"},
        crf=24,
        with_alpha=("yuva420p", {"cpu-used": "4", "row-mt": "1", "lag-in-frames": "10", "auto-alt-ref": "0"}),
        aspect=False,
    ),
    ".mov": _Coding(
        "prores_ks",
        "yuv422p10le",
        "mov",
        {"profile": "hq", "vendor": "apl0"},
        with_alpha=("yuva444p10le", {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}),
    ),
    ".gif": _Coding("png", "rgb24", "mov", {"compression_level": "1"}, with_alpha=("rgba", {}), aspect=False),
}


def write(
    path: str | os.PathLike[str],
    info: Info,
    *,
    of: Clip | None = None,
    crf: int | None = None,
    bits: int = 8,
    recipe: dict[str, Any] | None = None,
    label_cn: bool = False,
    resume: bool = False,
) -> "VideoWriter | FrameWriter":
    """Begin a clip: `with write("out.mp4", clip.info, of=clip) as out: out.add(pixels, time)`.

    .mp4 and .mkv are H.264, .webm is VP9, .mov is ProRes 422 HQ (4444 with alpha), .gif has one palette. A folder
    (`OUT` or `OUT/`) or a pattern (`frames_%05d.tif`) is numbered pictures. Where the pixel format wants even sizes,
    the last row and column are repeated. WebM and GIF have square pixels only: others are stretched. Alpha is laid on
    white where the format has none.

    Whatever ends the block early, a playable CLIP.partial.mp4 of what is done is left, beside the parts that
    `resume` goes on from. Then `out.done` frames are there already. `out.state` is a file for whatever else it takes to
    go on, which is gone at the end.

    Args:
        info: of the frames to come: size, rate, colours, pixel aspect.
        of: the clip whose sound goes along.
        crf: quality of H.264 (0 to 51, default 18) and VP9 (0 to 63, default 24), lower is better.
        bits: per channel of numbered pictures, 8 or 16.
        recipe: what made it (provenance.make_recipe), goes into the file with the AI-content labels.
        label_cn: carry the label of GB 45438-2025 as well.
        resume: go on with what an interrupted run with the same settings has left, if there is something.

    Raises:
        ClipError: a format that is not written, no encoder, no room, parts of another run.
    """
    path = Path(path)
    check_writable(path, crf=crf, bits=bits)
    pattern = pattern_of(path)
    if of is not None and of.info.sound and (pattern is not None or path.suffix.lower() == ".gif"):
        warn(f"{of.path}: its sound is left out: {'GIF has' if pattern is None else 'numbered pictures have'} none")
    if pattern is not None:
        return FrameWriter(pattern, bits, recipe, label_cn, resume)
    return VideoWriter(path, info, of=of, crf=crf, recipe=recipe, label_cn=label_cn, resume=resume)


def check_writable(path: str | os.PathLike[str], *, crf: int | None = None, bits: int = 8) -> None:
    """Say at the start of a long run whether a clip can be written there and so.

    Raises:
        ClipError: unknown extension, no encoder.
        OutputError: a missing or locked place.
        SettingsError: `crf` or `bits` for a format without them.
    """
    path = Path(path)
    folder = pattern_of(path) is not None
    if folder and crf is not None:
        raise SettingsError("crf is for .mp4, .mkv and .webm; numbered pictures are written without loss")
    if folder:
        return
    coding = FORMATS.get(path.suffix.lower())
    if coding is None:
        raise ClipError(f"{path}: a clip is {', '.join(FORMATS)}, a folder, or a pattern such as frame_%05d.png")
    if crf is not None and (coding.crf is None or not 0 <= crf <= (51 if coding is _H264 else 63)):
        raise SettingsError(f"crf is for .mp4, .mkv and .webm, from 0 (best) to 51 or 63; {path.name} cannot be {crf}")
    if bits != 8:
        raise SettingsError(f"{bits} bits are for numbered pictures; .mov has 10 bits")
    try:
        av.Codec(coding.codec, "w")
    except UnknownCodecError as error:
        raise ClipError(f"{path}: FFmpeg here has no encoder {coding.codec}; choose another extension") from error
    check_place(path)


class VideoWriter:
    """A video file in the making. Use it as a context manager, through `write`."""

    def __init__(
        self,
        path: Path,
        info: Info,
        *,
        of: Clip | None,
        crf: int | None,
        recipe: dict[str, Any] | None,
        label_cn: bool,
        resume: bool,
    ) -> None:
        self.path, self.of, self.recipe, self.label_cn = path, of, recipe, label_cn
        self.coding = FORMATS[path.suffix.lower()]
        self.given = info
        if not self.coding.aspect:
            info = Info(**{**vars(info), "width": max(1, round(info.width * info.aspect)), "aspect": Fraction(1)})
        self.info = info
        self.alpha = info.alpha and self.coding.with_alpha is not None
        self.pixel_format, self.options = self.coding.pixels, dict(self.coding.options)
        if self.alpha and self.coding.with_alpha is not None:
            self.pixel_format, self.options = self.coding.with_alpha
        if self.coding.crf is not None:
            self.options = {**self.options, "crf": str(self.coding.crf if crf is None else crf)}
        even = "444" not in self.pixel_format and self.pixel_format.startswith("yuv")
        self.width, self.height = (side + (side % 2 if even else 0) for side in (info.width, info.height))
        ticks = lcm(90_000, info.rate.numerator)  # a second: every rate and every time stamp of films divides it
        self.tick = Fraction(1, ticks if ticks < 2**31 else 90_000)
        self.partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        coded_as = [av.__version__, repr(info), self.pixel_format, self.options]
        self.settings = json.dumps([*coded_as, recipe], sort_keys=True)  # parts that differ in them do not fit together

        self.done = 0  # frames that are in the parts, or on their way there
        self.kept = 0  # those that are on the disk whatever happens
        self.state = path.with_name(f"{path.name}.state")
        self._pts = -1  # of the newest, in ticks
        self._part: OutputContainer | None = None
        self._cut_short = False
        self._laid = False  # something transparent, on white
        self._take_stock(resume)

    def add(
        self,
        pixels: Tensor,
        time: Fraction | float,
        alpha: Tensor | None = None,
        duration: Fraction | float | None = None,
    ) -> None:
        """Write one more frame: pixels [1, 3, H, W] and alpha [1, 1, H, W] in [0, 1], `time` in seconds.

        A frame stands until the next one; `duration`, in seconds too, is for the last, by default as long as the mean.

        Raises:
            ClipError: no room on the disk.
        """
        if pixels.shape[2:] != (self.given.height, self.given.width):
            raise ValueError(f"frame of {tuple(pixels.shape[2:])}, not {self.given.height, self.given.width}")
        channels = pixels
        if self.alpha:
            shown = Picture(pixels, alpha).resized(self.info.height, self.info.width)
            alpha = torch.ones_like(shown.pixels[:, :1]) if shown.alpha is None else shown.alpha
            channels = torch.cat([shown.pixels, alpha], 1)
        elif alpha is not None:
            if not self._laid and alpha.min() < 1:
                self._laid = True
                holders = ", ".join(name for name, coding in FORMATS.items() if coding.with_alpha)
                warn(f"{self.path.name} has no transparency: it is laid on white; {holders} and PNG frames keep it")
            channels = pixels * alpha + (1 - alpha)
        channels = resize(channels, self.info.height, self.info.width)
        padding = (0, self.width - self.info.width, 0, self.height - self.info.height)
        frame = colour.to_frame(F.pad(channels, padding, mode="replicate"), self.pixel_format, self.info)
        self._pts = max(round(Fraction(time) / self.tick), self._pts + 1)
        with _writing(self.path):
            part = self._part or self._begin_part()
            frame.pts, frame.time_base = self._pts - self._first, self.tick
            frame.duration = max(1, round(Fraction(duration or 1 / self.info.rate) / self.tick))
            packets = self._stream.encode(frame)
            part.mux(packets)
        self.done += 1
        self.kept += len(packets)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._cut_short = True  # perhaps between writing a frame and counting it
            with suppress(ClipError):  # such as a full disk, which is the error already on its way
                self._end_part()
                if self.done:
                    self._join(self.partial, self._pts * self.tick + 1 / self.info.rate)
            return
        self._end_part()
        if not self.done:
            raise ClipError(f"{self.path}: there was no frame to write")
        self._join(self.path, None if self.of is None else self.of.length)
        self.clear()

    def clear(self) -> None:
        """Delete all that an interrupted run would go on from."""
        for leftover in (*parts.found(self.path), self.partial, self.state):
            leftover.unlink(missing_ok=True)

    def _take_stock(self, resume: bool) -> None:
        """Count what an earlier run has left."""
        left = parts.found(self.path)
        if not resume and any(file.stat().st_size for file in left):
            raise ClipError(f"{left[0]} is left from an interrupted run: resume to go on with it, or delete it")
        for file in left:
            times = [packet.pts or 0 for packet in self._packets(file)]
            if not times:  # stopped before its first frame
                file.unlink()
                continue
            self.done, self._pts = self.done + len(times), times[-1]
        if not self.done:
            self.state.unlink(missing_ok=True)  # of parts that somebody has deleted
        self.kept = self.done - 1  # of what an encoder gives, the newest frame is written with the one after it

    def _packets(self, file: Path) -> Iterator[av.Packet]:
        try:
            yield from parts.packets(file, self.settings, self.tick)
        except KeyError as error:
            raise ClipError(
                f"{file} was made with other settings: resume with the same ones, or delete it to begin anew"
            ) from error

    def _begin_part(self) -> OutputContainer:
        self._first = self._pts
        file = parts.following(self.path, self.coding.part)
        self._part = av.open(f"file:{file}", "w", format=self.coding.part, options=parts.OPTIONS[self.coding.part])
        self._part.metadata["comment"] = parts.label(self.settings, self._first)
        stream = self._part.add_stream(self.coding.codec, rate=self.info.rate, options=self.options)
        assert isinstance(stream, VideoStream)
        self._stream, coder = stream, stream.codec_context
        coder.width, coder.height, coder.pix_fmt = self.width, self.height, self.pixel_format
        coder.time_base, coder.sample_aspect_ratio = self.tick, self.info.aspect
        coder.thread_type = "AUTO"
        coder.flags |= Flags.frame_duration
        if self.pixel_format.startswith("yuv"):
            coder.colorspace = self.info.matrix
            coder.color_range = colour.FULL if self.info.full_range else colour.LIMITED
        coder.color_primaries, coder.color_trc = self.info.primaries, self.info.transfer
        return self._part

    def _end_part(self) -> None:
        if self._part is not None:
            with _writing(self.path):
                try:
                    self._part.mux(self._stream.encode(None))
                finally:
                    self._part.close()

    def _join(self, target: Path, length: Fraction | None) -> None:
        """Make the output of all parts, in one piece or not at all."""
        with _writing(target), replacing(target) as file:
            if target.suffix.lower() == ".gif":
                *_, last = self._durations()
                gif.save(self._frames, file, (last.duration or 0) * self.tick)
                if self.recipe is not None:
                    tags.add_to_gif(file, self.recipe, self.label_cn)
                return
            of = self.of if self.of is not None and self.of.path.is_file() else None
            if of is None:
                self._remux(file, None, length)
                return
            for anew in (False, True):  # a long run shall not be in vain for a strange sound
                try:
                    self._remux(file, of, length, anew)
                    return
                except (av.FFmpegError, ValueError) as error:
                    if isinstance(error, OSError):
                        raise
                    why = getattr(error, "strerror", None) or error
            warn(f"{of.path}: its sound cannot be carried over ({why}), {target.name} is silent")
            self._remux(file, None, None)

    def _remux(self, file: Path, of: Clip | None, length: Fraction | None, anew: bool = False) -> None:
        """Join the packets of the parts, and with them what `of` has besides pictures; its sound coded `anew`."""
        suffix = file.suffix.lower()
        with ExitStack() as open_files:
            target = open_files.enter_context(av.open(f"file:{file}", "w", options=FINISHED.get(suffix, {})))
            template = open_files.enter_context(av.open(f"file:{parts.found(self.path)[0]}"))
            track = target.add_stream_from_template(template.streams.video[0])
            if self.alpha and suffix == ".webm":
                track.metadata["alpha_mode"] = "1"
            track.codec_context.framerate = self.info.rate
            track.codec_context.sample_aspect_ratio = self.info.aspect
            streams = [self._of(track)]
            if of is not None:
                source = open_files.enter_context(sound.opened(of))
                left_out = along.add(source, target, of, suffix, length)
                tracks = [i for i, s in enumerate(source.streams.audio) if s.codec_context is not None]
                if len(tracks) < len(source.streams.audio):
                    left_out.append("sound of a kind that there is no decoder for")
                for index in tracks:
                    own = open_files.enter_context(sound.opened(of))
                    streams.append(sound.Sound(own, target, of, suffix, index, anew).packets(length))
                streams += along.subtitles(source, target, of, suffix, length)
                if left_out:
                    warn(f"{of.path}: left out of {self.path.name}: {', '.join(left_out)}")
            target.metadata.update(tags.container_tags(self.recipe, self.label_cn))
            for packet in heapq.merge(*streams, key=lambda p: (p.pts or 0) * p.time_base):
                target.mux(packet)

    def _of(self, track: VideoStream) -> Iterator[av.Packet]:
        for packet in self._durations():
            packet.stream = track
            yield packet

    def _durations(self) -> Iterator[av.Packet]:
        """The packets of all parts; each lasts until the next one, and the last as long as its frame was said to."""
        everything = itertools.chain.from_iterable(self._packets(file) for file in parts.found(self.path))
        before, count = None, 0
        for packet in everything:
            if before is not None:
                before.duration = (packet.pts or 0) - (before.pts or 0)
                yield before
            before, count = packet, count + 1
        if before is None or (count != self.done and not self._cut_short):
            raise ClipError(f"{self.path}: only {count} of {self.done} frames of its parts can be read again")
        before.duration = before.duration or round(1 / self.info.rate / self.tick)
        yield before

    def _frames(self) -> Iterator[av.VideoFrame]:
        for file in parts.found(self.path):
            for packet in self._packets(file):
                for frame in packet.decode():
                    frame.time_base = self.tick
                    yield frame


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say in one line what keeps a clip from being written."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        why = getattr(error, "strerror", None) or error
        raise ClipError(f"{path} cannot be written: {why}; make room there or choose another place") from error
