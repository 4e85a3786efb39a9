"""Recipe and AI-content labels of a clip: the XMP packet that provenance.py writes, where each container has room."""

from os import PathLike
from pathlib import Path
from typing import Any

import av

from impasto import provenance
from impasto.errors import ClipError
from impasto.files import absent, is_hidden
from impasto.media import picture
from impasto.media.clip.frames import READS
from impasto.media.clip.reading import LOCAL

KEY = "XMP"  # a tag of our own in MP4, MOV, Matroska and WebM
GIF_BLOCK = b"\x21\xff\x0bXMP DataXMP"  # an application extension (XMP part 3)
GIF_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"  # leads old readers over the packet, wherever they are
XMP_END = b'<?xpacket end="w"?>'


def container_tags(recipe: dict[str, Any] | None, label_cn: bool) -> dict[str, str]:
    """The tags of a video container: a sentence that every player shows, and the packet."""
    if recipe is None:
        return {}
    return {
        "comment": "Made with AI by Impasto",
        KEY: provenance.packet(recipe, label_cn=label_cn).decode(),
    }


def add_to_gif(path: Path, recipe: dict[str, Any], label_cn: bool) -> None:
    """Put the packet at the end of a GIF file, before its last byte."""
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(GIF_BLOCK + provenance.packet(recipe, label_cn=label_cn) + GIF_TRAILER + b";")


def read_xmp(path: str | PathLike[str]) -> bytes:
    """Read the XMP packet of a clip, of a folder that of its first frame; empty if there is none.

    Raises:
        ClipError: no such file, or not a clip.
    """
    path = Path(path)
    if path.is_dir():
        frames = sorted(file for file in path.iterdir() if file.suffix.lower() in READS and not is_hidden(file))
        return picture.read_xmp(frames[0]) if frames else b""
    try:
        if path.suffix.lower() == ".gif":
            _, _, rest = path.read_bytes().rpartition(GIF_BLOCK)
            packet, end, _ = rest.partition(XMP_END)
            return packet + end if end else b""
        with av.open(f"file:{path}", "r", options=LOCAL) as container:
            tags = {name.upper(): text for name, text in container.metadata.items()}
            return tags.get(KEY, "").encode()
    except FileNotFoundError as error:
        raise ClipError(absent(path)) from error
    except (OSError, av.FFmpegError, ValueError) as error:
        raise ClipError(f"{path} cannot be read: it is damaged, or not a video") from error
