"""Quotas and ages of what visitors leave behind."""

import os
import time
from pathlib import Path

import pytest

from impasto.errors import OutputError
from impasto.web.limits import Limits
from impasto.web.storage import Storage

HOUR = 3600


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path, Limits(max_visitor=1, max_stored=2, max_hours=4))


def filled(storage: Storage, visitor: str, count: int, session: str = "") -> Path:
    folder = storage.new(visitor, session)
    (folder / "file").write_bytes(bytes(count))
    storage.settle(folder)
    return folder


def test_a_visitor_has_a_share_and_all_have_one(storage: Storage) -> None:
    first = filled(storage, "first", 900_000)
    with pytest.raises(OutputError, match="your files here would be more than the limit of 1 MB"):
        storage.grow(storage.new("first"), 200_000)
    filled(storage, "second", 990_000)
    with pytest.raises(OutputError, match="all files here would be more than the limit of 2 MB"):
        storage.grow(storage.new("third"), 200_000)
    storage.discard(first)
    storage.grow(storage.new("third"), 200_000)


def test_many_empty_folders_count_as_well(storage: Storage) -> None:
    with pytest.raises(OutputError, match="your files"):
        for _ in range(1000):
            storage.new("visitor")


def test_what_is_old_goes_but_not_what_is_worked_on(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    done, busy = filled(storage, "visitor", 1), storage.new("visitor")
    gradios = storage.root / "hash" / "image.webp"
    gradios.parent.mkdir()
    gradios.touch()
    storage.sweep()
    assert done.exists() and gradios.exists()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 5 * HOUR)
    storage.sweep()
    assert [one for one in (done, busy, gradios) if one.exists()] == [busy]
    storage.settle(busy)  # its age counts from here
    storage.sweep()
    assert busy.exists()


def test_what_a_job_waits_with_does_not_grow_old(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    named, other = filled(storage, "visitor", 1), filled(storage, "visitor", 1)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 5 * HOUR)
    storage.sweep([next(file for file in named.rglob("*") if file.is_file())])
    assert named.exists() and not other.exists()
    storage.sweep()
    assert not named.exists()


def test_a_file_that_is_still_written_to_is_not_old(storage: Storage) -> None:
    (storage.root / "hash").mkdir()
    (storage.root / "hash" / "part").touch()
    os.utime(storage.root / "hash", (0, 0))
    storage.sweep()
    assert (storage.root / "hash" / "part").exists()


def test_what_belongs_to_a_page_goes_with_it(storage: Storage) -> None:
    done, busy = filled(storage, "visitor", 1, "page"), storage.new("visitor", "page")
    other, program = filled(storage, "visitor", 1, "other"), filled(storage, "visitor", 1)
    storage.leave("page")
    assert not done.exists() and busy.exists() and other.exists() and program.exists()
    storage.settle(busy)
    assert not busy.exists()
    storage.leave("")
    assert program.exists()
