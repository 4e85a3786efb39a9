"""The sound of a clip: its packets copied as they are, or coded anew where the container does not take their kind.

What is coded anew is laid out on the clock of the clip sample by sample: a gap becomes silence, what overlaps is cut.
"""

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from impasto.errors import warn
from impasto.media import layouts
from impasto.media.clip.clock import Segment, continued
from impasto.media.clip.reading import LOCAL, Clip

COPIED = {  # what players of a container expect in it, as far as its muxer takes it; an empty set is everything
    ".mp4": {"aac", "mp3", "ac3", "eac3", "alac", "flac", "opus"},
    ".mov": {"aac", "mp3", "ac3", "eac3", "alac"},
    ".webm": {"opus", "vorbis"},
    ".mkv": set[str](),
}
FORMAT = {".mp4": "mp4", ".mov": "mov", ".webm": "webm", ".mkv": "matroska"}
TRIED = 30  # packets
AHEAD = 3  # seconds: sound may lie so far before its picture in a file, and decoders need some of it to begin
OUT_OF_STEP = Fraction(1, 20)  # second: time stamps that are rounded are off by less
JUMP = Fraction(1, 5)  # second back, at which the clock of a file has begun anew


class Sound:
    """A sound track of a cut, on its way into another file.

    Args:
        index: which of the sound tracks of the clip.
        anew: do not copy it.
    """

    def __init__(
        self, source: InputContainer, target: OutputContainer, clip: Clip, suffix: str, index: int, anew: bool = False
    ) -> None:
        self.source, self.clip, self.target, self.index = source, clip, target, index
        self.stream = source.streams.audio[index]
        self.copied = not anew and self._is_copied(suffix)
        # What begins before the picture fills the decoder. Matroska shifts the picture for it, but for Opus.
        opus = self.stream.codec_context.codec.canonical_name == "opus"
        self.lead_in = clip.start == 0 and (suffix in (".mp4", ".mov") or opus)
        if self.copied:
            self.track = target.add_stream_from_template(self.stream)
        else:
            self.track, self.sample_format = self._coder(suffix)
        self.track.metadata.update(
            {name: text for name, text in self.stream.metadata.items() if name in ("language", "title")}
        )
        self.track.disposition = self.stream.disposition

    def packets(self, length: Fraction | None) -> Iterator[av.Packet]:
        """The first `length` seconds of the cut, with time 0 at its start; whole packets, or samples coded anew."""
        if self.clip.start > AHEAD and len(self.clip.joints) < 2:
            try:
                self.source.seek(round((self.clip.origin - AHEAD) * av.time_base))
            except av.FFmpegError:  # what cannot seek may be at its end now
                self.source = opened(self.clip)
                self.stream = self.source.streams.audio[self.index]
        faults: list[str] = []
        yield from self._copies(length, faults) if self.copied else self._coded(length, faults)
        if faults:
            warn(f"{self.clip.path}: its sound is damaged, and has gaps or breaks off ({faults[0]})")

    def _is_copied(self, suffix: str) -> bool:
        """Whether the packets go into the container and come out of it as the sound that they were."""
        codec = self.stream.codec_context.codec
        known = COPIED[suffix]
        pcm = codec.canonical_name.startswith("pcm_")
        if known and codec.canonical_name not in known and not (pcm and suffix == ".mov"):
            return False
        if pcm and (self.clip.start or self.clip.length is not None):
            return False  # its packets may be seconds long; coded anew it is the same, and cut at a sample
        if pcm and suffix == ".mov" and self.stream.codec_context.layout.name.endswith(" channels"):
            return False  # a QuickTime file says which channels it has
        try:
            return self._tried(suffix)
        except (av.FFmpegError, ValueError):
            return False

    def _tried(self, suffix: str) -> bool:
        """Write a little of it to memory and read it again."""
        wanted, memory = layouts.Uniform(), io.BytesIO()
        heard = 0
        with opened(self.clip) as source, av.open(memory, "w", format=FORMAT[suffix]) as target:
            stream = source.streams.audio[self.index]
            track = target.add_stream_from_template(stream)
            for packet in islice(source.demux(stream), TRIED):
                if packet.size and not packet.is_corrupt:
                    heard += sum(wanted.samples(frame).shape[1] for frame in packet.decode())
                    packet.stream = track
                    target.mux(packet)
        memory.seek(0)
        found = layouts.Uniform()
        with av.open(memory, "r") as again:
            length = sum(found.samples(frame).shape[1] for frame in again.decode(audio=0))
        return (found.layout, found.rate) == (wanted.layout, wanted.rate) and length > heard / 2

    def _coder(self, suffix: str) -> tuple[AudioStream, str]:
        """Add a track that codes anew: without loss where the container is for that, or the sound was so."""
        codec = self.stream.codec_context
        layout, rate = self._as_decoded()
        if suffix == ".webm" or (suffix == ".mkv" and not codec.codec.lossless):
            name, sample_format = "libopus", "flt"
        elif suffix == ".mkv":  # which does not say of PCM which channels it has
            name, sample_format = "flac", "s32"
        elif suffix == ".mov":
            name, sample_format = layouts.PCM[layouts.depth(codec.codec, codec.format.name)]
        else:
            name, sample_format = "aac", "fltp"
        layout, rate = layouts.taken(name, layout), 48_000 if name == "libopus" else layouts.rate_taken(name, rate)
        track = self.target.add_stream(name, rate=rate, layout=layout)
        assert isinstance(track, AudioStream)
        track.format = sample_format
        if name in ("aac", "libopus"):
            track.bit_rate = layouts.LOSSY * max(1, track.layout.nb_channels // 2)
        return track, sample_format

    def _as_decoded(self) -> tuple[str, int]:
        """Layout and rate of the first frame; a header may say half the rate (HE-AAC), or what comes later."""
        with opened(self.clip) as source:
            stream = source.streams.audio[self.index]
            first = next(decoded(source, stream, []), None)
        about = stream.codec_context if first is None else first
        return layouts.named(about.layout), about.sample_rate

    def _copies(self, length: Fraction | None, faults: list[str]) -> Iterator[av.Packet]:
        clock = _Clock(self.clip.origin)
        for packet in _read(self.source, self.stream, faults, self.clip.joints):
            if packet is None or not packet.size:
                continue
            time = clock.at(packet.pts if packet.pts is not None else packet.dts, packet.time_base, packet.duration)
            if time < 0:  # what is damaged before the cut is no fault of it
                faults.clear()
            packet.pts = round(time / packet.time_base)
            packet.dts = packet.pts  # sound has one order only
            if length is not None and time >= length:
                return
            if packet.pts >= 0 or self.lead_in:
                packet.stream = self.track
                yield packet

    def _coded(self, length: Fraction | None, faults: list[str]) -> Iterator[av.Packet]:
        coder = self.track.codec_context
        coder.open()  # and knows its frame size
        resampler = layouts.resampler(
            self.sample_format, self.track.layout.name, self.track.sample_rate, coder.frame_size or 1024
        )
        for frame in self._laid_out(length, faults):
            for part in resampler.resample(frame):
                yield from self.track.encode(part)
        for part in resampler.resample(None):
            yield from self.track.encode(part)
        yield from self.track.encode(None)

    def _laid_out(self, length: Fraction | None, faults: list[str]) -> Iterator[av.AudioFrame]:
        """The samples of the cut without a gap, from its start on."""
        uniform, clock, done = layouts.Uniform(), _Clock(self.clip.origin), 0
        for frame in decoded(self.source, self.stream, faults, self.clip.joints):
            tick = frame.time_base or Fraction(1, frame.sample_rate)
            time = clock.at(frame.pts, tick, round(frame.samples / (frame.sample_rate * tick)))
            samples = uniform.samples(frame)
            rate = uniform.rate
            end = None if length is None else round(length * rate)
            place = round(time * rate)
            if place < 0:  # what is damaged before the cut is no fault of it
                faults.clear()
            if abs(place - done) < OUT_OF_STEP * rate and done:
                place = done
            while place > done and (end is None or done < end):  # silence, a second at a time
                gap = min(place - done, rate)
                yield layouts.frame(np.zeros((len(samples), gap), np.float32), uniform.layout, rate, done)
                done += gap
            samples = samples[:, done - place :] if place < done else samples
            if end is not None:
                samples = samples[:, : max(0, end - done)]
            if samples.shape[1]:
                yield layouts.frame(samples, uniform.layout, rate, done)
                done += samples.shape[1]
            if end is not None and done >= end:
                return


class _Clock:
    """Gives time stamps of a file as seconds of the cut. It goes on where they are missing or begin anew."""

    def __init__(self, origin: Fraction) -> None:
        self.offset = -origin
        self.next: Fraction | None = None  # where the following one is expected

    def at(self, stamp: int | None, tick: Fraction, duration: int | None) -> Fraction:
        expected = Fraction(0) if self.next is None else self.next
        time = expected if stamp is None else stamp * tick + self.offset
        if self.next is not None and time < self.next - JUMP:
            self.offset, time = self.offset + self.next - time, self.next
        self.next = time + (duration or 0) * tick
        return time


def opened(clip: Clip) -> InputContainer:
    """The file of the clip, opened once more for its sound. Local files only: no playlist leads to a server."""
    return av.open(f"file:{clip.path}", "r", options=LOCAL)


def decoded(
    container: InputContainer, stream: AudioStream, faults: list[str], joints: Sequence[Segment] = ()
) -> Iterator[av.AudioFrame]:
    """Every frame of sound that can be decoded; what is wrong is noted in `faults`."""
    for packet in _read(container, stream, faults, joints):
        try:
            yield from stream.decode(packet)
        except EOFError:  # was emptied already
            return
        except av.FFmpegError as error:
            faults.append(str(error.strerror))


def _read(
    container: InputContainer, stream: AudioStream, faults: list[str], joints: Sequence[Segment]
) -> Iterator[av.Packet | None]:
    """The packets that are whole, on the clock of the picture, then None."""
    packets = continued(container.demux(stream), joints)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            faults.append(str(error.strerror))
            packet = None
        if packet is not None and packet.is_corrupt and len(joints) < 2:  # beside a joint whole ones are taken for that
            faults.append("corrupt packet")
            continue
        yield packet
        if packet is None:
            return
