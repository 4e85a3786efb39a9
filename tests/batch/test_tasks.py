"""What is to be painted: folders, patterns, CSV files."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from impasto.batch.tasks import CONTENT_TYPES, OUTPUT_TYPES, Task, crossed, pictures, read_csv
from impasto.errors import ImpastoWarning, OutputError, SettingsError
from impasto.media.picture import FORMATS
from impasto.style.settings import GradeSettings, Settings, TextureSettings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.jpg", "in/b.PNG", "in/deep/a.jpg", "in/notes.txt", "in/out/a--b.png", "sea.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    return tmp_path


def found(given: str) -> list[str]:
    return [path.as_posix() for path in pictures(given, CONTENT_TYPES, Path("in/out"))]


@pytest.mark.filterwarnings("ignore:in. left out")
def test_a_folder_means_the_pictures_in_it_but_not_the_results(folder: Path) -> None:
    assert found("in") == ["in/a.jpg", "in/b.PNG", "in/deep/a.jpg"]
    assert found("in/*.jpg") == ["in/a.jpg"]
    assert found("in/**/*.jpg") == ["in/a.jpg", "in/deep/a.jpg"]
    assert found(str(folder / "in" / "*.PNG")) == [str(folder / "in" / "b.PNG")]
    assert found("sea.jpg") == ["sea.jpg"]


@pytest.mark.parametrize("given", ["nothing", "in/*.gif"])
def test_where_there_is_no_picture_it_says_so(folder: Path, given: str) -> None:
    with pytest.raises(SettingsError, match="no pictures there"):
        found(given)


@pytest.mark.parametrize("given", ["in/out", "in/out/*.png"])
def test_the_results_are_no_contents(folder: Path, given: str) -> None:
    with pytest.raises(OutputError, match="choose another OUT"):
        found(given)


def test_hidden_files_are_no_pictures_and_what_is_left_out_is_said(folder: Path) -> None:
    for name in ("in/._a.jpg", "in/.thumbs/a.jpg", "in/c.xyz", "in/d.xyz", "in/README"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
    with pytest.warns(ImpastoWarning) as said:
        assert found("in") == ["in/a.jpg", "in/b.PNG", "in/deep/a.jpg"]
    (one,) = said
    assert str(one.message).endswith(": 1 .txt, 2 .xyz, 1 without extension")


@pytest.mark.skipif(os.name == "nt", reason="links are for administrators")
def test_links_are_followed_once_and_those_that_lead_nowhere_are_said(folder: Path) -> None:
    Path("else").mkdir()
    Path("else/c.jpg").write_bytes(b"")
    for link, target in (("in/link", "../else"), ("else/back", "../in"), ("in/none.jpg", "nothing")):
        Path(link).symlink_to(target)
    with pytest.warns(ImpastoWarning, match="left out .*: 1 .jpg, 1 .txt"):
        assert found("in") == ["in/a.jpg", "in/b.PNG", "in/deep/a.jpg", "in/link/c.jpg"]


def test_what_can_be_written_is_what_picture_writes() -> None:
    assert set(OUTPUT_TYPES) == set(FORMATS)


def outputs(tasks: list[Task]) -> list[str]:
    return [task.output.as_posix() for task in tasks]


def test_every_content_is_painted_with_every_style() -> None:
    contents, styles = [Path("p/a.jpg"), Path("p/b.jpg")], [Path("s/x.png"), Path("s/y.style")]
    found = crossed(contents, styles, Path("out"), Settings(seed=4), ".jpg")
    assert outputs(found) == ["out/a--x.jpg", "out/a--y.jpg", "out/b--x.jpg", "out/b--y.jpg"]
    assert {task.settings for task in found} == {Settings(seed=4)}
    assert [(task.content, task.styles) for task in found] == [(c, (s,)) for c in contents for s in styles]


@pytest.mark.parametrize(
    ("contents", "wanted"),
    [(["p/a.jpg", "p/a.png"], ["a.jpg", "a.png"]), (["p/a.jpg", "q/a.jpg"], ["p-a.jpg", "q-a.jpg"]),
     (["p/a.jpg", "p/A.JPG", "q/b.jpg"], None)],
)  # fmt: skip
def test_no_two_results_have_one_name(contents: list[str], wanted: list[str] | None) -> None:
    found = outputs(crossed([Path(name) for name in contents], [Path("x.png")], Path("out"), Settings()))
    assert len(set(found)) == len(contents)
    assert wanted is None or found == [f"out/{name}--x.png" for name in wanted]


def test_a_key_follows_from_inputs_and_settings_alone() -> None:
    task = Task(Path("a"), (Path("b"),), Path("c"), Settings())
    key = task.key({Path("a"): "1", Path("b"): "2"})
    elsewhere = Task(Path("x"), (Path("y"),), Path("z"), Settings(device="cpu", memory=2.0, tile=512))
    assert elsewhere.key({Path("x"): "1", Path("y"): "2"}) == key
    for other in (replace(task, settings=Settings(seed=1)), replace(task, label_cn=True)):
        assert other.key({Path("a"): "1", Path("b"): "2"}) != key
    assert task.key({Path("a"): "2", Path("b"): "1"}) != key


COMMON = Settings(quality="draft", size=100)


def test_masks_of_a_csv_file_belong_to_its_line(folder: Path) -> None:
    (found,) = csv("content,style,mask,protect\na.jpg,ink;b.jpg,l.png;r.png,face.png\n")
    assert (found.masks, found.protect) == ((Path("l.png"), Path("r.png")), Path("face.png"))
    hashes = {path: path.name for path in found.inputs}
    assert found.key(hashes) != found.key(hashes | {Path("face.png"): "other"})


def csv(text: str) -> list[Task]:
    Path("jobs.csv").write_text(text)
    return read_csv(Path("jobs.csv"), Path("out"), COMMON, named={"ink": Path("/b/ink.jpg")})


def test_a_csv_file_has_a_line_for_each_picture_and_its_settings(folder: Path) -> None:
    found = csv("content,style,output,size,colour,style_weights\n"
                "in/a.jpg,sea.jpg,,,,\n"
                'in/a.jpg,sea.jpg; ink,deep/x.jpg,200,luminance,"1,3"\n')  # fmt: skip
    assert csv("content, style ,\nin/a.jpg,sea.jpg,\n") == found[:1]  # as spreadsheets and people write it
    plain, full = found
    assert plain == Task(Path("in/a.jpg"), (Path("sea.jpg"),), Path("out/a--sea.png"), COMMON)
    assert full.styles == (Path("sea.jpg"), Path("/b/ink.jpg")) and full.output == Path("out/deep/x.jpg")
    wanted = Settings(quality="draft", size=200, colour="luminance", style_weights=(1.0, 3.0))
    assert full.settings == wanted


def test_lines_of_looks_and_textures(folder: Path) -> None:
    text = (
        "command,content,style,mask,skin,seamless,steps\ngrade,a.jpg,b.jpg,m.png,0.5,,\ntexture,,b.jpg;c.jpg,,,both,9\n"
    )
    look, texture = csv(text)
    assert look == Task(
        Path("a.jpg"), (Path("b.jpg"),), Path("out/a--b.png"), COMMON, (Path("m.png"),), own=GradeSettings(skin=0.5)
    )
    assert (texture.content, texture.output) == (None, Path("out/b+c-texture.png"))
    assert texture.own == TextureSettings(seamless="both") and texture.settings == replace(COMMON, steps=9)
    hashes = {file: str(file) for task in (look, texture) for file in task.inputs}
    others = [replace(look, own=GradeSettings()), replace(texture, own=TextureSettings()), replace(look, own=None)]
    assert len({task.key(hashes) for task in (look, texture, *others)}) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "first line"), ("content,size\na,1", "first line"), ("content,style\n", "no lines"),
     ("content,style\na.jpg,", "line 2: content and style"), ("content,style\na,b,c", "line 2: there are more"),
     ("content,style,sized\na,b,1", "line 2: there is no setting 'sized'; did you mean size"),
     ("content,style,size\na,b,1\na,b,x", "line 2: size goes from 16"), ("content,style,size\na,b,x", "size takes int"),
     ("content,style,quality\na,b,best", "there is no quality"), ("content,style,output\na,b,../x.png", "outside"),
     ("content,style,output\na,b,x.foo", "line 2: the output x.foo must end in one of .png"),
     ("content,style,output\na,b,x.png\na,c,X.png", "written twice"),
     ("content,style,style\na,b,c", "two columns style"), ("content,style\na\0,b", "line 2: a cell holds"),
     ("content,style,output\na,b,x.png\na,c,d/../x.png", "written twice"),
     ("content,style\na,b\na,b", "written twice"),
     ("command,content,style\ngrad,a,b", "no command of a line 'grad'; did you mean grade"),
     ("command,content,style\ngrade,,b", "content and style are needed"),
     ("command,content,style\ngrade,a,b;c", "one style, its reference"),
     ("command,content,style,size\ngrade,a,b,64", "no setting 'size'"),
     ("command,content,style,strength\ngrade,a,b,2", "strength goes from 0 to 1"),
     ("command,content,style\ntexture,a,b", "a texture has no content"),
     ("command,content,style,width\ntexture,,b,1", "width goes from")],
)  # fmt: skip
def test_what_is_wrong_in_a_csv_file_is_named_with_its_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        csv(text)


def test_a_csv_file_that_is_none_is_said(folder: Path) -> None:
    for name in ("no.csv", "in"):
        with pytest.raises(SettingsError, match="cannot be read"):
            read_csv(Path(name), Path("out"), Settings())
    Path("latin.csv").write_bytes("content,style\nä,ö".encode("latin-1"))
    with pytest.raises(SettingsError, match="cannot be read"):
        read_csv(Path("latin.csv"), Path("out"), Settings())
