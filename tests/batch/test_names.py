"""What results are called, above all beside those of an earlier run."""

import json
from pathlib import Path

import pytest

from impasto.batch import manifest
from impasto.batch.tasks import crossed
from impasto.provenance import sha256
from impasto.style.settings import Settings


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write files that hold their own names, but for those that are given something else."""
    monkeypatch.chdir(tmp_path)

    def written(*names: str, holding: str | None = None) -> None:
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(holding or name)

    written("swirl.jpg")
    return written


def called(*contents: str, styles: tuple[str, ...] = ("swirl.jpg",), done: bool = True) -> list[str]:
    """The names of the results of a run, which then stand in its manifest."""
    tasks = crossed([Path(name) for name in contents], [Path(name) for name in styles], Path("out"), Settings())
    Path("out").mkdir(exist_ok=True)
    with (Path("out") / manifest.NAME).open("a") as lines:
        for task in tasks:
            record = {"output": task.output.name, "content": task.content.name, "styles": [task.styles[0].name]}
            if done:
                hashes = [{"sha256": sha256(file)} for file in (task.content, task.styles[0])]
                record["recipe"] = {"content": hashes[0], "styles": [hashes[1]]}
            lines.write(json.dumps(record) + "\n")
    return [task.output.stem for task in tasks]


def test_one_more_photograph_renames_no_other(put) -> None:
    put("g/a.png", "g/b.png", "g/a.jpg")
    assert called("g/a.png", "g/b.png") == ["a--swirl", "b--swirl"]
    for _ in range(2):
        assert called("g/a.jpg", "g/a.png", "g/b.png") == ["a.jpg--swirl", "a--swirl", "b--swirl"]


def test_what_failed_keeps_its_name_too(put) -> None:
    put("a.png", "a.jpg")
    called("a.png", done=False)
    assert called("a.jpg", "a.png") == ["a.jpg--swirl", "a--swirl"]


@pytest.mark.parametrize("order", [("a.png", "a.jpg"), ("a.jpg", "a.png")])
def test_when_one_of_two_goes_the_other_keeps_its_name(put, order) -> None:
    put("a.png", "a.jpg")
    assert sorted(called(*order)) == ["a.jpg--swirl", "a.png--swirl"]
    assert called("a.jpg") == ["a.jpg--swirl"]
    assert called("a.png") == ["a.png--swirl"]
    assert called(*reversed(order)) == [f"{name}--swirl" for name in reversed(order)]


def test_a_name_is_not_passed_on_to_another_file(put) -> None:
    """The result that is there shall not be painted over."""
    put("a.png", "a.jpg")
    assert called("a.png") == ["a--swirl"]
    assert called("a.jpg") == ["a.jpg--swirl"]


def test_alike_in_different_folders(put) -> None:
    put("p/a.jpg", "q/a.jpg", "r/a.jpg")
    assert called("q/a.jpg") == ["a--swirl"]
    assert called("p/a.jpg", "q/a.jpg") == ["a.jpg--swirl", "a--swirl"]
    assert called("p/a.jpg", "q/a.jpg", "r/a.jpg") == ["a.jpg--swirl", "a--swirl", "r-a.jpg--swirl"]
    assert called("p/a.jpg", "r/a.jpg") == ["a.jpg--swirl", "r-a.jpg--swirl"]
    put("r/a.jpg", holding="another picture now")
    assert called("r/a.jpg") == ["r-a.jpg--swirl"]


def test_from_another_folder_the_same_names(put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("p/a.jpg", "q/a.jpg")
    assert called("p/a.jpg", "q/a.jpg") == ["p-a.jpg--swirl", "q-a.jpg--swirl"]
    here = Path.cwd()
    assert called(f"{here}/q/a.jpg", f"{here}/p/a.jpg") == ["q-a.jpg--swirl", "p-a.jpg--swirl"]


def test_styles_as_well(put) -> None:
    put("a.png", "s/x.png", "s/x.jpg", "s/y.jpg")
    assert called("a.png", styles=("s/x.png", "s/y.jpg")) == ["a--x", "a--y"]
    assert called("a.png", styles=("s/x.jpg", "s/x.png", "s/y.jpg")) == ["a--x.jpg", "a--x", "a--y"]


def test_names_that_differ_in_case_or_in_the_writing_of_an_accent_are_alike(put) -> None:
    put("p/a.jpg", "p/A.JPG", "é.png", "e\u0301.jpg")
    assert called("p/a.jpg", "p/A.JPG") == ["p-a.jpg--swirl", "p-A.JPG-2--swirl"]
    assert called("p/A.JPG", "p/a.jpg") == ["p-A.JPG-2--swirl", "p-a.jpg--swirl"]
    assert called("é.png", "e\u0301.jpg") == ["é.png--swirl", "e\u0301.jpg--swirl"]


def test_dashes_in_names(put) -> None:
    put("a--b.png", "c--swirl.png", "a--b.jpg")
    assert called("a--b.png", "c--swirl.png") == ["a--b--swirl", "c--swirl--swirl"]
    assert called("a--b.jpg", "a--b.png", "c--swirl.png") == ["a--b.jpg--swirl", "a--b--swirl", "c--swirl--swirl"]


def test_an_earlier_version_that_renamed_all_and_a_damaged_manifest(put) -> None:
    put("a.png", "a.jpg")
    called("a.png")
    source = {"sha256": sha256(Path("a.png"))}
    lines = [
        {"output": "a.png--swirl.png", "content": "a.png", "styles": ["swirl.jpg"], "recipe": {"content": source}},
        {"output": "b--swirl.png", "content": 3, "styles": "x", "recipe": 4},
        {"output": "c--swirl.png", "content": "c.png", "styles": ["swirl.jpg"], "recipe": {"content": 1, "styles": 2}},
    ]
    with (Path("out") / manifest.NAME).open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    assert called("a.png", "a.jpg") == ["a.png--swirl", "a.jpg--swirl"]  # what it made last
