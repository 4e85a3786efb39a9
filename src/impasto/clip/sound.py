"""The sound of a clip: its packets copied as they are, or coded anew where the container does not take their kind."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

import av
from av.container import InputContainer, OutputContainer

from impasto.clip.reading import LOCAL, Clip
from impasto.errors import warn

TAKES = {  # beginnings of the names of codecs; an empty one begins all
    ".mp4": ("aac", "mp3", "ac3", "eac3", "alac", "opus", "libopus"),
    ".mov": ("aac", "mp3", "ac3", "eac3", "alac", "pcm_s"),
    ".webm": ("opus", "libopus", "vorbis"),
    ".mkv": ("",),
}


class Sound:
    """The first sound track of a cut, on its way into another file."""

    def __init__(self, source: InputContainer, target: OutputContainer, clip: Clip, suffix: str) -> None:
        self.source, self.clip, self.target = source, clip, target
        self.stream = source.streams.audio[0]
        codec = self.stream.codec_context
        self.copied = codec.name.startswith(TAKES[suffix])
        # What begins before the picture fills the decoder. Matroska shifts the picture for it, but for Opus.
        self.lead_in = clip.start == 0 and (suffix in (".mp4", ".mov") or "opus" in codec.name)
        if self.copied:
            self.track = target.add_stream_from_template(self.stream)
        elif suffix == ".webm":
            self.track = target.add_stream("libopus", rate=48_000, layout=codec.layout.name)
        else:
            self.track = target.add_stream("aac", rate=min(codec.sample_rate, 96_000), layout=codec.layout.name)

    def packets(self, length: Fraction | None) -> Iterator[av.Packet]:
        """The first `length` seconds of the cut, with time 0 at its start; whole packets or decoded frames."""
        if self.clip.start > 0:
            with suppress(av.FFmpegError):  # what cannot seek is read from its beginning
                self.source.seek(round(self.clip.origin * av.time_base))
        try:
            yield from self._copied(length) if self.copied else self._coded(length)
        except av.FFmpegError:
            warn(f"{self.clip.path}: its sound is damaged and breaks off")

    def _copied(self, length: Fraction | None) -> Iterator[av.Packet]:
        for packet in self.source.demux(self.stream):
            if packet.pts is None or packet.is_corrupt:
                continue
            origin = round(self.clip.origin / packet.time_base)
            packet.pts -= origin
            packet.dts = packet.pts  # sound has one order only
            if length is not None and packet.pts * packet.time_base >= length:
                return
            if packet.pts >= 0 or self.lead_in:
                packet.stream = self.track
                yield packet

    def _coded(self, length: Fraction | None) -> Iterator[av.Packet]:
        for frame in self.source.decode(self.stream):
            assert frame.pts is not None and frame.time_base is not None
            frame.pts -= round(self.clip.origin / frame.time_base)
            if length is not None and frame.pts * frame.time_base >= length:
                break
            if frame.pts >= 0:
                yield from self.track.encode(frame)
        yield from self.track.encode(None)


def opened(clip: Clip) -> InputContainer:
    return av.open(f"file:{clip.path}", "r", options=LOCAL)
