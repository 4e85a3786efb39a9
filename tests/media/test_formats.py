"""What files are, by their first bytes: a file of another kind is named, never called damaged."""

from pathlib import Path

import pytest

from impasto.errors import ClipError, SoundError
from impasto.media import clip, sound

OTHERS = {
    "notes.mp4": (b"Dear reader,\n" * 20, "it is a text"),
    "page.mp3": (b"<!DOCTYPE html><title>404</title>" + b" " * 99, "it is a web page"),
    "poster.mov": (b"%PDF-1.7\n" + bytes(range(256)), "it is a PDF document"),
    "all.wav": (b"PK\3\4" + bytes(range(256)), "it is a ZIP archive"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_clip_and_no_sound_is_named(tmp_path: Path, name: str) -> None:
    data, says = OTHERS[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ClipError, match=f"{says}.*, not a clip"):
        clip.read(tmp_path / name)
    with pytest.raises(SoundError, match=f"{says}.*, not a sound"):
        sound.read(tmp_path / name)


def test_a_clip_that_broke_off_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 40)
    with pytest.raises(ClipError, match="damaged or cut off"):
        clip.read(tmp_path / "a.mp4")
