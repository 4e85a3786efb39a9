"""`impasto batch` as a person meets it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from impasto.batch.manifest import Record
from impasto.batch.tasks import Task
from impasto.provenance import sha256

Impasto = Callable[..., Any]  # the fixture in conftest.py


@pytest.fixture
def photos(folder: Path) -> Path:
    """A folder `in` of two pictures and one that is broken, beside `photo.png`."""
    Path("in").mkdir()
    photo = Image.open("photo.png")
    photo.save("in/a.png")
    photo.rotate(180).save("in/b.jpg")
    Path("in/broken.jpg").write_text("no picture")
    return folder


def test_what_is_broken_is_listed_and_the_rest_is_painted_once(impasto: Impasto, photos: Path) -> None:
    words = ("batch", "in", "swirl,photo.png", "-o", "out", "--quality", "draft", "--size", "48")
    code, out, err = impasto(*words)
    assert code == 3 and out.startswith("out: 4 painted, 0 were there already, 2 failed")
    assert err.count("failed: broken--") == 2 and err.count("is a text, which is not read here") == 2
    found = {path.name for path in Path("out").iterdir()}
    assert found == {
        "a--swirl.png",
        "b--swirl.png",
        "a--photo.png",
        "b--photo.png",
        "manifest.jsonl",
        "contact-sheet.jpg",
    }
    records = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    done = {record["output"]: record for record in records if record["status"] == "done"}
    assert done["a--swirl.png"]["sha256"] == sha256("out/a--swirl.png")
    assert done["a--swirl.png"]["recipe"] == json.loads(impasto("inspect", "out/a--swirl.png", "--json").out)["recipe"]
    times = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}

    Path("in/broken.jpg").unlink()
    code, out, err = impasto(*words)
    assert (code, err) == (0, "") and out.startswith("out: 0 painted, 4 were there already, 0 failed")
    assert {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")} == times


def test_a_campaign_is_one_file(impasto: Impasto, photos: Path) -> None:
    Path("jobs.csv").write_text(
        "command,content,style,output,quality,size,strength,width,height,steps\n"
        "style,photo.png,swirl,,draft,48,,,,\n"
        "grade,photo.png,swirl,look.jpg,,,0.5,,,\n"
        "texture,,mosaic,,,,,64,48,1\n"
    )
    code, out, err = impasto("batch", "jobs.csv", "-o", "out")
    assert (code, err) == (0, "") and out.startswith("out: 3 painted, 0 were there already, 0 failed")
    assert Image.open("out/mosaic-texture.png").size == (64, 48)
    assert impasto("grade", "photo.png", "swirl", "--strength", "0.5", "-o", "alone.jpg").code == 0
    assert Path("out/look.jpg").read_bytes() == Path("alone.jpg").read_bytes()
    records = {line["output"]: line for line in map(json.loads, Path("out/manifest.jsonl").read_text().splitlines())}
    assert records["look.jpg"]["recipe"]["command"] == "grade" and records["mosaic-texture.png"]["content"] == ""
    assert impasto("batch", "jobs.csv", "-o", "out").out.startswith("out: 0 painted, 3 were there already")
    Path("jobs.csv").write_text(Path("jobs.csv").read_text().replace("0.5", "0.6").replace("64,48", "48,48"))
    assert impasto("batch", "jobs.csv", "-o", "out").out.startswith("out: 2 painted, 1 were there already")


def test_a_csv_file_sets_each_row_and_the_sheet_shows_them(impasto: Impasto, photos: Path) -> None:
    Path("jobs.csv").write_text(
        "content,style,output,size,protect\nphoto.png,swirl;ink,x.png,48,\nin/a.png,mosaic,,96,left.png\n"
    )
    code, out, _ = impasto("batch", "jobs.csv", "-o", "out", "--quality", "draft", "--label", "cn", "--json")
    first, second, end = map(json.loads, out.splitlines())
    assert code == 0 and (end["done"], end["failed"], end["skipped"]) == (2, 0, 0)
    assert {first["output"], second["output"]} == {"x.png", "a--mosaic.png"}
    assert (Image.open("out/x.png").width, Image.open("out/a--mosaic.png").width) == (48, 96)
    left = (0, 0, 40, 72)  # within what is protected
    assert Image.open("out/a--mosaic.png").crop(left).tobytes() == Image.open("in/a.png").crop(left).tobytes()
    assert "AIGC" in json.loads(impasto("inspect", "out/x.png", "--json").out)["labels"]
    assert Image.open("out/contact-sheet.jpg").size == (3 * 198 + 6, 3 * 198 + 6)


@pytest.mark.parametrize(
    ("words", "message"),
    [(("in",), "name the styles"), (("in", "nowhere"), "no pictures there"), (("none", "swirl"), "no pictures there"),
     (("jobs.csv", "swirl"), "leave out STYLES"), (("in", "swirl", "--quality", "best"), "there is no quality 'best'"),
     (("in", "swirl", "--set", "sise=3"), "did you mean size"), (("in", "swirl", "--address", "a:1"), "--engine ray"),
     (("in", "swirl", "--processes", "2", "--engine", "ray"), "--engine local")],
)  # fmt: skip
def test_bad_words_are_one_line(impasto: Impasto, photos: Path, words: tuple[str, ...], message: str) -> None:
    code, _, err = impasto("batch", *words, "-o", "out")
    assert (code, err.count("\n")) == (2, 1) and message in err


def running(*more: str) -> "subprocess.Popen[str]":
    """A batch in a process of its own, after its first picture."""
    words = [sys.executable, "-m", "impasto", "batch", "photo.png", "all/*.jpg", "-o", "out", "--set", "steps=8", *more]
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(Path("out").glob("*.png")) and time.monotonic() < deadline:
        time.sleep(0.02)
    return run


@pytest.fixture
def styles(folder: Path) -> None:
    """Six styles in the folder `all`."""
    Path("all").mkdir()
    for number in range(6):
        Image.open("photo.png").convert("RGB").rotate(15 * number).save(f"all/{number}.jpg")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_batch_goes_on_after_kill_9(impasto: Impasto, styles: None) -> None:
    run = running()
    run.kill()
    run.communicate()
    before = len(Path("out/manifest.jsonl").read_text().splitlines())
    code, out, _ = impasto("batch", "photo.png", "all", "-o", "out", "--set", "steps=8")
    assert code == 0 and f"{before} were there already, 0 failed" in out
    records = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    assert sorted(record["output"] for record in records) == [f"photo--{n}.png" for n in range(6)]
    assert not [path for path in Path("out").iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_it_says_how_far_it_is(styles: None, number: signal.Signals) -> None:
    run = running("--json")
    os.kill(run.pid, number)
    out, err = run.communicate(timeout=60)
    assert not [path for path in Path("out").iterdir() if path.suffix == ".lock"]
    assert run.returncode == 128 + number and "pictures are done; the same command goes on" in err, err
    assert err.count("\n") == 1 and out.count("\n") < 6


def test_warnings_of_workers_are_lines_and_come_once(
    impasto: Impasto, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def engine(tasks: Sequence[Task]) -> Generator[tuple[Task, Record]]:
        for task in tasks:
            yield task, {"status": "done", "warnings": ["the style is odd", f"{task.content} is odd"]}

    Path("in/broken.jpg").unlink()
    Path("in/list.txt").touch()
    monkeypatch.setattr("impasto.cli.batch._engine", lambda *_: engine)
    code, _, err = impasto("batch", "in", "swirl", "-o", "out")
    assert code == 0 and err.splitlines() == [
        "warning: in: left out what is no picture that can be read: 1 .txt",
        "warning: the style is odd",
        "warning: in/a.png is odd",
        "warning: in/b.jpg is odd",
    ]


def test_one_more_photograph_is_one_picture_more(impasto: Impasto, photos: Path) -> None:
    """Also where its name differs from another's in the extension alone."""
    Path("in/broken.jpg").unlink()
    words = ("batch", "in", "swirl", "-o", "out", "--quality", "draft", "--size", "48", "--processes", "1")
    assert impasto(*words).out.startswith("out: 2 painted")
    before = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    Image.open("in/a.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("in/a.jpg")
    assert impasto(*words).out.startswith("out: 1 painted, 2 were there already, 0 failed")
    after = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert after == before | {Path("out/a.jpg--swirl.png"): after[Path("out/a.jpg--swirl.png")]}
