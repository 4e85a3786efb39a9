"""Places to write to: whole files or none, and never over what is read."""

import os
from pathlib import Path

import pytest

from impasto.errors import OutputError
from impasto.files import check_apart, check_place, is_hidden, replacing


def test_after_an_error_the_file_that_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "none" / "a.png", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(OutputError, match=str(place)):
            check_place(place)
    check_place(tmp_path / "a.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder"]


def test_an_input_is_never_the_output_under_any_of_its_names(tmp_path: Path) -> None:
    photo, other = tmp_path / "photo.png", tmp_path / "other.png"
    photo.write_bytes(b"1")
    other.write_bytes(b"1")
    soft, hard = tmp_path / "soft.png", tmp_path / "hard.png"
    soft.symlink_to(photo)
    os.link(photo, hard)
    for name in (photo, soft, hard, tmp_path / "." / "photo.png"):
        with pytest.raises(OutputError, match="overwrite"):
            check_apart(name, [other, photo])
        check_apart(name, [other, photo], overwrite=True)
    check_apart(other, [photo])
    check_apart(tmp_path / "new.png", [photo])


def test_companions_of_macos_are_hidden(tmp_path: Path) -> None:
    assert is_hidden(tmp_path / "._f1.png")
    assert not is_hidden(tmp_path / "f1.png")
