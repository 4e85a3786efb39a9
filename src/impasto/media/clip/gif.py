"""GIF files with one good palette for the whole clip: one pass over the frames finds it, the next one applies it."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.filter import Graph

from impasto.media.clip.filters import pulled, source

HUNDREDTH = Fraction(1, 100)  # second, GIF's unit of time
# Ordered dither: error diffusion would make still areas crawl from frame to frame.
DITHER = "dither=bayer:bayer_scale=3:diff_mode=rectangle"


def save(frames: Callable[[], Iterator[av.VideoFrame]], path: Path, last: Fraction) -> None:
    """Write the frames, which have time stamps, as an animation without end.

    Args:
        frames: gives them from the start, at each call.
        last: seconds for which the last frame stands.
    """
    palette = _palette(frames())
    palette.pts = 0
    delay = min(max(1, round(last / HUNDREDTH)), 65_535)
    with av.open(f"file:{path}", "w", format="gif", options={"loop": "0", "final_delay": str(delay)}) as container:
        stream = container.add_stream("gif", rate=100)
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
    graph, entry = Graph(), None
    for frame in frames:
        if entry is None:
            entry = source(graph, frame, frame.time_base)
            sink = graph.add("buffersink")
            graph.link_nodes(entry, graph.add("palettegen"), sink).configure()
        entry.push(frame)
    assert entry is not None
    entry.push(None)
    palette = sink.pull()
    assert isinstance(palette, av.VideoFrame)
    return palette


def _with_palette(frames: Iterator[av.VideoFrame], palette: av.VideoFrame) -> Iterator[av.VideoFrame]:
    graph, entry = Graph(), None
    for frame in frames:
        if entry is None:
            entry = source(graph, frame, frame.time_base)
            colours = source(graph, palette, frame.time_base)
            painter, sink = graph.add("paletteuse", DITHER), graph.add("buffersink")
            entry.link_to(painter, 0, 0)
            colours.link_to(painter, 0, 1)
            painter.link_to(sink)
            graph.configure()
            colours.push(palette)
            colours.push(None)
        entry.push(frame)
        yield from pulled(sink)
    if entry is not None:
        entry.push(None)
        yield from pulled(sink)
