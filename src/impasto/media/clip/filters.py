"""Filters of FFmpeg: their ends, and the one that frames of interlaced clips go through."""

from collections.abc import Iterator
from fractions import Fraction

from av import VideoFrame
from av.filter import Graph
from av.filter.context import FilterContext


def source(graph: Graph, frame: VideoFrame, time_base: Fraction | None) -> FilterContext:
    """Where frames like `frame` go in."""
    return graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)


def pulled(sink: FilterContext) -> Iterator[VideoFrame]:
    """What is ready at the other end."""
    while True:
        try:
            frame = sink.pull()
        except (BlockingIOError, EOFError):  # it wants more, or has no more
            return
        assert isinstance(frame, VideoFrame)
        yield frame


def deinterlaced(frames: Iterator[VideoFrame], tick: Fraction) -> Iterator[VideoFrame]:
    """The same frames at the same times, in ticks, those that are two fields made whole by bwdif."""
    entry: FilterContext | None = None
    sink: FilterContext | None = None
    shape: tuple[int, int, str] | None = None
    for frame in frames:
        now = frame.width, frame.height, frame.format.name
        if entry is not None and sink is not None and now != shape:  # joined clips may change their size
            entry.push(None)
            yield from _at(pulled(sink), tick)
            entry = None
        if entry is None and frame.interlaced_frame and frame.pts is not None:
            graph, shape = Graph(), now
            entry, sink = source(graph, frame, tick), graph.add("buffersink")
            graph.link_nodes(entry, graph.add("bwdif", "mode=send_frame:deint=interlaced"), sink).configure()
        if entry is None or sink is None:
            yield frame
            continue
        frame.time_base = tick
        entry.push(frame)
        yield from _at(pulled(sink), tick)
    if entry is not None and sink is not None:
        entry.push(None)
        yield from _at(pulled(sink), tick)


def _at(frames: Iterator[VideoFrame], tick: Fraction) -> Iterator[VideoFrame]:
    for frame in frames:  # the filter counts in halves of ticks
        scale = (frame.time_base or tick) / tick
        frame.pts, frame.duration = round((frame.pts or 0) * scale), round(frame.duration * scale)
        yield frame
