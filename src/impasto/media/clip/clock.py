"""One clock through a file whose time stamps jump, such as transport streams joined by `cat`."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import NamedTuple

import av
from av.container import InputContainer
from av.format import Flags
from av.stream import Stream

FAR = 10  # seconds that no stream pauses for: FFmpeg's -dts_delta_threshold
OVERLAP = Fraction(1, 2)  # second by which sound and picture may differ at a joint


class Segment(NamedTuple):
    """A part of a file between two jumps, in seconds."""

    start: Fraction  # on the clock of the file, as its time stamps say
    end: Fraction
    shift: Fraction  # to be added for a clock that goes on


def may_jump(container: InputContainer) -> bool:
    """Whether time stamps of such a container may jump at all."""
    return bool(Flags(container.format.flags) & Flags.ts_discont)


def segments(container: InputContainer, stream: Stream) -> tuple[tuple[Segment, ...], int]:
    """What the time stamps of a stream do, and how many packets have none. Reads through the file."""
    found: list[Segment] = []
    unstamped, step, jumps = 0, Fraction(0), may_jump(container)
    with suppress(av.FFmpegError):  # damage is dealt with when frames are read
        for packet in container.demux(stream):
            if packet.dts is None or not packet.time_base:
                unstamped += bool(packet.size)
                continue
            time = packet.dts * packet.time_base
            if not found or (jumps and not found[-1].end - step <= time <= found[-1].end + FAR):
                expected = time if not found else found[-1].end + found[-1].shift
                found.append(Segment(time, time, expected - time))
            step = packet.duration * packet.time_base if packet.duration else max(step, time - found[-1].end)
            found[-1] = found[-1]._replace(end=time + step)
    return tuple(found), unstamped


def continued(packets: Iterator[av.Packet], joints: Sequence[Segment]) -> Iterator[av.Packet]:
    """The packets of one stream, from the beginning of the file, on the clock that goes on.

    Where they jump as the picture does, they stay with it; what comes for a time that is over is left out. Where they
    jump alone, they go on where they were.
    """
    shift, expected, step = joints[0].shift if joints else Fraction(0), None, Fraction(0)
    for packet in packets:
        stamp = packet.dts if packet.dts is not None else packet.pts
        if len(joints) and stamp is not None and packet.time_base:
            time = stamp * packet.time_base
            if expected is not None and not -step <= time + shift - expected <= FAR:
                near = (
                    joint.shift
                    for joint in joints
                    if joint.start - OVERLAP <= time <= joint.end + OVERLAP
                    and -OVERLAP <= time + joint.shift - expected <= FAR
                )
                shift = next(near, expected - time)
            late = expected is not None and time + shift < expected - step
            if packet.duration:
                step = packet.duration * packet.time_base
            if late:
                continue
            expected = time + shift + step
            ticks = round(shift / packet.time_base)
            packet.dts = None if packet.dts is None else packet.dts + ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks
        yield packet
