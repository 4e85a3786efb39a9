"""Part files of a clip in the making, whole up to the last frame even after a crash: fragmented MP4 or MOV, or WebM in
clusters of one frame, which holds alpha as well."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

# Each frame is a fragment of its own and on its way to the disk when the next one comes.
_FRAGMENTED = {"movflags": "+empty_moov+frag_every_frame+default_base_moof", "flush_packets": "1"}
OPTIONS = {
    "mp4": _FRAGMENTED,
    "mov": _FRAGMENTED,
    "webm": {"cluster_time_limit": "1", "flush_packets": "1"},
}


def found(path: Path) -> list[Path]:
    """The parts that belong to the clip `path`, in order."""
    name = re.compile(re.escape(path.name) + r"\.part(\d+)\.(?:mp4|mov|webm)")
    numbered = ((name.fullmatch(file.name), file) for file in path.absolute().parent.iterdir())
    return [file for _, file in sorted((int(match[1]), file) for match, file in numbered if match)]


def named(path: Path, index: int, container: str) -> Path:
    """The file of part number `index` of the clip at `path`."""
    return path.with_name(f"{path.name}.part{index}.{container}")


def following(path: Path, container: str) -> Path:
    """The name of the next part."""
    parts = found(path)
    index = int(parts[-1].name.removeprefix(f"{path.name}.part").partition(".")[0]) + 1 if parts else 0
    return named(path, index, container)


def label(settings: str, first: int) -> str:
    """What a part says of itself: how it is coded, and the time of its first frame, which fragments do not keep."""
    return json.dumps({"settings": settings, "first": first})


def packets(file: Path, settings: str, tick: Fraction) -> Iterator[av.Packet]:
    """The packets of a part, one for each frame, with times in ticks of the clip. A torn one at the end is left out.

    Raises:
        KeyError: the part was made with other settings.
    """
    with suppress(av.FFmpegError), av.open(f"file:{file}") as container:
        tags = {name.lower(): text for name, text in container.metadata.items()}
        about: dict[str, Any] = json.loads(tags["comment"])
        if about["settings"] != settings:
            raise KeyError("settings")
        for packet in container.demux(video=0):
            if packet.size and packet.pts is not None and not packet.is_corrupt:
                scale = packet.time_base / tick
                packet.pts, packet.duration = (
                    about["first"] + round(packet.pts * scale),
                    round((packet.duration or 0) * scale),
                )
                packet.dts, packet.time_base = packet.pts, tick
                yield packet
