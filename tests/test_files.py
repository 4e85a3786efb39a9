"""Places to write to: whole files or none, and never over what is read."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from impasto.errors import OutputError
from impasto.files import (
    FORGOTTEN,
    absent,
    check_apart,
    check_folder,
    check_place,
    is_hidden,
    locked,
    remove_abandoned,
    replacing,
)


def test_after_an_error_the_file_that_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such modes")
def test_who_may_read_a_file_is_as_the_user_has_it(tmp_path: Path) -> None:
    path, before = tmp_path / "a.safetensors", os.umask(0o027)
    try:
        with replacing(path) as part:
            save_file({"a": torch.zeros(1)}, part)  # for its owner alone
        assert path.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


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


def test_a_folder_that_is_read_is_written_into_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    for overwrite in (False, True, None):
        with pytest.raises(OutputError, match="folder that is read"):
            check_apart(tmp_path / "link", [tmp_path / "in"], overwrite=overwrite)
    check_apart(tmp_path / "in" / "below", [tmp_path / "in"])


def test_a_folder_may_be_new_but_not_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/deep"):
        with pytest.raises(OutputError, match="no folder"):
            check_folder(tmp_path / place)
    check_folder(tmp_path / "new" / "deep")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["https://a.b/c.png", "HTTP://a.b/c", "s3://bucket/c.png"])
def test_an_address_is_called_one(name: str) -> None:
    for given in (name, Path(name)):
        assert absent(given) == f"{name} is an address, not a file; download it first"
    assert absent(r"C:\pictures\a.png").endswith("does not exist; check the name")
    for check in (check_place, check_folder):
        with pytest.raises(OutputError, match=f"^{re.escape(name)} is an address, not a"):
            check(Path(name))


HOLDING = """
import sys, time
from pathlib import Path
from impasto.files import locked, replacing
with locked(Path(sys.argv[1])), replacing(Path(sys.argv[1])) as part:
    part.touch()
    print("here", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that writes `out` and has locked it."""
    words = [sys.executable, "-c", HOLDING, str(tmp_path / "out")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        yield process
        process.kill()


def test_one_process_writes_at_a_time_until_it_dies(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    (tmp_path / "link").symlink_to("out")
    for name in ("out", "./out", "link"):
        with pytest.raises(OutputError, match=rf"another impasto is writing .* \(process {holder.pid}\)"):
            locked(tmp_path / name).__enter__()
    with locked(tmp_path / "other"):
        pass
    remove_abandoned(tmp_path)  # of a process that lives, nothing goes
    assert len([path for path in tmp_path.iterdir() if path.name.startswith(".impasto-")]) == 2
    holder.kill()
    holder.wait()
    with locked(tmp_path / "out"):
        remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_temporary_files_of_other_machines_stay_for_a_day(tmp_path: Path) -> None:
    part = tmp_path / f".impasto-00000000-{os.getpid()}-ab.png"
    part.touch()
    remove_abandoned(tmp_path)
    assert part.exists()
    os.utime(part, (time.time() - 2 * FORGOTTEN,) * 2)
    remove_abandoned(tmp_path)
    assert not part.exists()


def test_where_there_are_no_locks_the_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> bool:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("impasto.files._lock", refuse)
    with locked(tmp_path / "a"), locked(tmp_path / "a"):
        pass
