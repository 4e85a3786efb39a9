"""GIF files with one good palette for the whole clip: one pass over the frames finds it, the next one applies it."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.filter import Graph
from av.filter.context import FilterContext

HUNDREDTH = Fraction(1, 100)  # second, GIF's unit of time
# Ordered dither: error diffusion would make still areas crawl from frame to frame.
DITHER = "dither=bayer:bayer_scale=3:diff_mode=rectangle"


def save(frames: Callable[[], Iterator[av.VideoFrame]], path: Path, rate: Fraction) -> None:
    """Write the frames, which have time stamps, as an animation without end.

    Args:
        frames: gives them from the start, at each call.
        rate: frames per second, for how long the last frame stands.
    """
    palette = _palette(frames())
    palette.pts = 0
    with av.open(f"file:{path}", "w", format="gif", options={"loop": "0"}) as container:
        stream = container.add_stream("gif", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *_size(frames), "pal8"
        stream.codec_context.time_base = HUNDREDTH
        before = -1
        for frame in _with_palette(frames(), palette):
            assert frame.pts is not None and frame.time_base is not None
            frame.pts = before = max(before + 1, round(frame.pts * frame.time_base / HUNDREDTH))
            frame.time_base = HUNDREDTH
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _size(frames: Callable[[], Iterator[av.VideoFrame]]) -> tuple[int, int]:
    first = next(frames())
    return first.width, first.height


def _palette(frames: Iterator[av.VideoFrame]) -> av.VideoFrame:
    graph, source = Graph(), None
    for frame in frames:
        if source is None:
            source = _source(graph, frame, frame.time_base)
            sink = graph.add("buffersink")
            graph.link_nodes(source, graph.add("palettegen"), sink).configure()
        source.push(frame)
    assert source is not None
    source.push(None)
    palette = sink.pull()
    assert isinstance(palette, av.VideoFrame)
    return palette


def _with_palette(frames: Iterator[av.VideoFrame], palette: av.VideoFrame) -> Iterator[av.VideoFrame]:
    graph, source = Graph(), None
    for frame in frames:
        if source is None:
            source = _source(graph, frame, frame.time_base)
            colours = _source(graph, palette, frame.time_base)
            painter, sink = graph.add("paletteuse", DITHER), graph.add("buffersink")
            source.link_to(painter, 0, 0)
            colours.link_to(painter, 0, 1)
            painter.link_to(sink)
            graph.configure()
            colours.push(palette)
            colours.push(None)
        source.push(frame)
        yield from _pulled(sink)
    if source is not None:
        source.push(None)
        yield from _pulled(sink)


def _source(graph: Graph, frame: av.VideoFrame, time_base: Fraction | None) -> FilterContext:
    return graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)


def _pulled(sink: FilterContext) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = sink.pull()
        except (BlockingIOError, EOFError):  # it wants more, or has no more
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame
