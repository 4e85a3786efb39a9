"""What goes along with a clip besides pictures and sound: subtitles, chapters, title and other tags, timecode."""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from impasto.media.clip.reading import LOCAL, Clip
from impasto.media.clip.tags import KEY

SUBTITLES = {  # that a container takes as they are
    ".mp4": {"mov_text"},
    ".mov": {"mov_text"},
    ".webm": {"webvtt"},
    ".mkv": {"subrip", "ass", "ssa", "webvtt", "text", "dvd_subtitle", "dvb_subtitle", "hdmv_pgs_subtitle"},
}
OF_THE_FILE = {  # tags that say how the old file was written
    "encoder", "encoded_by", "software", "major_brand", "minor_version", "compatible_brands", "handler_name",
    "vendor_id", "duration", "comment", "creation_time", "timecode", KEY.lower(),
}  # fmt: skip


def add(source: InputContainer, target: OutputContainer, clip: Clip, suffix: str, length: Fraction | None) -> list[str]:
    """Give the target what it can hold of tags and chapters. Returns the names of what is left out."""
    target.metadata.update({k: v for k, v in source.metadata.items() if k.lower() not in OF_THE_FILE})
    left_out: list[str] = []
    target.set_chapters(list(_chapters(source, clip, length)))
    timecode = source.metadata.get("timecode") or next(
        (s.metadata["timecode"] for s in source.streams if "timecode" in s.metadata), None
    )
    if timecode is not None:
        moved = _timecode(timecode, clip, Fraction(source.streams.video[0].average_rate or clip.info.rate))
        if moved is None:
            left_out.append("timecode")
        else:
            target.metadata["timecode"] = moved
    titles = [s for s in source.streams.subtitles if _name(s) not in SUBTITLES[suffix]]
    left_out += sorted({f"subtitles ({_name(s)})" for s in titles})
    left_out += sorted({"attachments" for s in source.streams if s.type == "attachment"})
    if len(source.streams.video) > 1:
        left_out.append("further pictures")
    return left_out


def subtitles(
    source: InputContainer, target: OutputContainer, clip: Clip, suffix: str, length: Fraction | None
) -> list[Iterator[av.Packet]]:
    """Add the subtitle tracks that the target takes, and give the packets of each."""
    kept = [s for s in source.streams.subtitles if _name(s) in SUBTITLES[suffix]]
    tracks = []
    for stream in kept:
        track = target.add_stream_from_template(stream)
        track.metadata.update({k: v for k, v in stream.metadata.items() if k in ("language", "title")})
        track.disposition = stream.disposition
        tracks.append(_packets(clip, stream.index, track, length))
    return tracks


def _packets(clip: Clip, index: int, track: Stream, length: Fraction | None) -> Iterator[av.Packet]:
    with av.open(f"file:{clip.path}", "r", options=LOCAL) as source:
        for packet in source.demux(source.streams[index]):
            tick = packet.time_base
            if packet.pts is None or tick is None or not packet.size:
                continue
            begin = packet.pts * tick - clip.origin
            end = begin + (packet.duration or 0) * tick
            if length is not None:
                if begin >= length:
                    return
                end = min(end, length)
            if begin >= 0 or end > 0:
                begin = max(begin, Fraction(0))
                packet.pts = packet.dts = round(begin / tick)
                packet.duration = round((end - begin) / tick)
                packet.stream = track
                yield packet


def _chapters(source: InputContainer, clip: Clip, length: Fraction | None) -> Iterator[Any]:
    for chapter in source.chapters():
        tick = chapter["time_base"] or Fraction(1, av.time_base)
        begin, end = (chapter[side] * tick - clip.origin for side in ("start", "end"))
        if end > 0 and (length is None or begin < length):
            begin, end = max(begin, Fraction(0)), end if length is None else min(end, length)
            yield {**chapter, "start": round(begin / tick), "end": round(end / tick)}


def _timecode(timecode: str, clip: Clip, counted: Fraction) -> str | None:
    """The timecode of the first frame of the cut, from one that is `counted` at another rate; None if it has none."""
    match = re.fullmatch(r"(\d+):(\d+):(\d+)([:;.,])(\d+)", timecode)
    rate = round(clip.info.rate)
    if not clip.start and rate == round(counted):
        return timecode
    if match is None or match[4] != ":":  # drop-frame: its numbers have gaps
        return None
    hours, minutes, seconds, frames = (int(match[i]) for i in (1, 2, 3, 5))
    frames = round(frames * clip.info.rate / counted) + round(clip.start * clip.info.rate)
    number = ((hours * 60 + minutes) * 60 + seconds) * rate + frames
    seconds, frames = divmod(number, rate)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frames:02}"


def _name(stream: Stream) -> str:
    return "unknown" if stream.codec_context is None else stream.codec_context.codec.canonical_name
