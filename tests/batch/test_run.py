"""A batch leaves out what is done, goes past what fails, and writes everything down. The engine is a false one here."""

import os
import warnings
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from impasto.batch import manifest
from impasto.batch.manifest import Record
from impasto.batch.run import Progress, running
from impasto.batch.tasks import Task
from impasto.batch.work import paint
from impasto.errors import OutputError, SettingsError, warn
from impasto.style.settings import Settings


class Painter:
    """Writes a byte for each picture. Remembers what it was asked for, and whether it was stopped."""

    def __init__(self, failing: str = "") -> None:
        self.failing, self.asked, self.ended = failing, [""], False

    def __call__(self, tasks: Sequence[Task]) -> Generator[tuple[Task, Record]]:
        self.asked = [task.output.stem for task in tasks]
        try:
            for task in tasks:
                if self.failing and self.failing in task.output.stem:
                    yield task, {"status": "failed", "error": "no paint"}
                else:
                    task.output.write_bytes(b"x")
                    yield task, {"status": "done"}
        finally:
            self.ended = True


def painted(tasks: list[Task], painter: Painter) -> Progress:
    *_, last = running(tasks, tasks[0].output.parent, painter)
    return last


def test_the_second_time_nothing_is_left_to_do(tasks: list[Task]) -> None:
    first, again = Painter(), Painter()
    at = painted(tasks, first)
    assert (at.total, at.done, at.failed, at.skipped) == (6, 6, 0, 0) and len(first.asked) == 6
    at = painted(tasks, again)
    assert (at.total, at.done, at.failed, at.skipped) == (6, 0, 0, 6) and again.asked == []


def test_what_failed_is_tried_again_and_the_rest_is_not(tasks: list[Task]) -> None:
    assert painted(tasks, Painter(failing="b--")).failed == 2
    again = Painter()
    painted(tasks, again)
    assert again.asked == ["b--swirl", "b--ink"]


def test_a_new_setting_another_content_or_a_lost_file_is_painted_anew(tasks: list[Task], photos: list[Path]) -> None:
    painted(tasks, Painter())
    tasks[0] = replace(tasks[0], settings=Settings(quality="draft", strength=0.5))
    tasks[3].output.unlink()
    photos[2].write_bytes(photos[0].read_bytes())
    again = Painter()
    painted(tasks, again)
    assert again.asked == ["a--swirl", "b--ink", "c--swirl", "c--ink"]


def test_a_missing_input_is_a_failure_and_not_the_end(tasks: list[Task], photos: list[Path]) -> None:
    photos[0].unlink()
    records = [at.record for at in running(tasks, tasks[0].output.parent, Painter()) if at.record]
    assert [record["status"] for record in records] == ["failed"] * 2 + ["done"] * 4
    assert "a.png cannot be read" in records[0]["error"]


def test_the_manifest_survives_a_line_that_a_kill_cut_off(tasks: list[Task]) -> None:
    folder = tasks[0].output.parent
    run = running(tasks, folder, Painter())
    for _ in range(4):  # the beginning, and three pictures
        next(run)
    run.close()
    with (folder / manifest.NAME).open("a") as lines:
        lines.write('{"output": "b--ink.png", "key": "12')
    (folder / ".impasto-1.png").write_bytes(b"half")
    again = Painter()
    painted(tasks, again)
    assert again.asked == ["b--ink", "c--swirl", "c--ink"]
    assert not list(folder.glob(".impasto-*"))
    assert sorted(key for key in manifest.done(folder)) == sorted(task.output.name for task in tasks)


def test_a_full_disk_names_the_manifest(tasks: list[Task]) -> None:
    folder = tasks[0].output.parent
    folder.mkdir(exist_ok=True)
    (folder / manifest.NAME).symlink_to("/dev/full")
    if Path("/dev/full").exists():
        with pytest.raises(OutputError, match=r"manifest\.jsonl cannot be written: No space left"):
            records = manifest.Manifest(folder)
            records.add({"output": "a.png"})


def test_closing_a_batch_ends_the_work(tasks: list[Task]) -> None:
    painter = Painter()
    run = running(tasks, tasks[0].output.parent, painter)
    next(run), next(run)
    assert not painter.ended
    run.close()
    assert painter.ended


def test_a_folder_that_cannot_be_is_said(tasks: list[Task], photos: list[Path]) -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        next(running(tasks, photos[0] / "out", Painter()))


def test_a_second_batch_waits_its_turn_and_leaves_the_files_of_the_first(tasks: list[Task]) -> None:
    folder = tasks[0].output.parent
    first = running(tasks, folder, Painter())
    next(first), next(first)
    with pytest.raises(OutputError, match=rf"another impasto is writing .* \(process {os.getpid()}\)"):
        next(running(tasks, folder, Painter()))
    *_, last = first
    assert last.done == 6
    assert painted(tasks, Painter()).skipped == 6
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_no_result_takes_the_place_of_an_input_of_another_task(tasks: list[Task], photos: list[Path]) -> None:
    tasks[4] = replace(tasks[4], output=photos[0])
    before = photos[0].read_bytes()
    with pytest.raises(OutputError, match="choose another folder"):
        list(running(tasks, photos[0].parent, Painter()))
    assert photos[0].read_bytes() == before


def test_the_contact_sheet_takes_no_place_of_an_input_or_a_result(tasks: list[Task], photos: list[Path]) -> None:
    sheet = tasks[0].output.parent / "contact-sheet.jpg"
    with pytest.raises(OutputError, match="where the contact sheet goes"):
        list(running([replace(tasks[0], output=sheet.with_name("Contact-Sheet.jpg"))], sheet.parent, Painter()))
    sheet.symlink_to(photos[0])
    with pytest.raises(OutputError, match="which is read: choose another folder"):
        list(running(tasks, sheet.parent, Painter()))


def test_warnings_of_a_worker_are_in_its_record(tasks: list[Task], monkeypatch: pytest.MonkeyPatch) -> None:
    def stylizing(*_: object) -> None:
        for _ in range(2):
            warn("a.png is odd")
        warnings.warn("of a library", stacklevel=2)
        raise SettingsError("no")

    monkeypatch.setattr("impasto.style.stylize.running", stylizing)
    assert paint(tasks[0], 1.0)["warnings"] == ["a.png is odd"]
