"""A folder of pictures as a data set."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.data import Stored, folder, load
from impasto.errors import DataError, ImpastoWarning, SettingsError


def paint(file: Path, colour: tuple[int, ...], size: tuple[int, int] = (12, 12)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(file)


def colours(name: str, split: str = "train", size: int = 4) -> list[tuple[int, ...]]:
    """The colours at the centres of the pictures of a data set, in its order."""
    data = load(name, split, size=size, channels=3)
    middle = data.batch(torch.arange(len(data))).images[:, :, size // 2, size // 2]
    return [tuple(pixel) for pixel in (middle * 255).round().int().tolist()]


@pytest.fixture
def ten(tmp_path: Path) -> str:
    """Ten pictures, grey value 10 i."""
    for i in range(10):
        paint(tmp_path / "ten" / f"{i}.png", (10 * i, 10 * i, 10 * i))
    return f"folder:{tmp_path / 'ten'}"


def test_the_splits_share_out_the_pictures(ten: str) -> None:
    train, validation, test = (colours(ten, split) for split in ("train", "validation", "test"))
    assert (len(train), len(validation), len(test)) == (8, 1, 1)
    assert sorted(train + validation + test) == [(10 * i,) * 3 for i in range(10)]
    assert train == sorted(train)  # by name


def test_a_new_picture_changes_the_sides_of_few_others(tmp_path: Path) -> None:
    names = [Path(f"{i}.png") for i in range(1000)]
    before, after = (set(folder._part(files, "train")) for files in (names, [*names, Path("new.png")]))
    assert len(before) == 800
    assert len(before - after) <= 2


def test_every_kind_of_picture_is_read_as_three_channels(tmp_path: Path) -> None:
    Image.new("L", (9, 9), 100).save(tmp_path / "a.png")
    Image.new("1", (9, 9), 1).save(tmp_path / "b.png")
    Image.new("P", (9, 9), 0).save(tmp_path / "c.gif")
    Image.new("L", (9, 9), 30).save(tmp_path / "d.JPG")
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "e.bmp")
    Image.fromarray(np.full((9, 9), 257 * 50, np.uint16)).save(tmp_path / "f.tiff")
    (tmp_path / "notes.txt").write_text("not a picture")
    every = [pixel for split in ("train", "validation", "test") for pixel in colours(f"folder:{tmp_path}", split)]
    assert sorted(every) == [(0, 0, 0), (1, 2, 3), (30, 30, 30), (50, 50, 50), (100, 100, 100), (255, 255, 255)]


def test_what_is_transparent_lies_on_white(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", (0, 0, 0, 0))
    assert colours(f"folder:{tmp_path}") == [(255, 255, 255)]


def test_pictures_stand_upright(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255  # white above, in the file
    exif = Image.Exif()
    exif[274] = 3  # taken upside down
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    data = load(f"folder:{tmp_path}", "train", size=8)
    image = data.batch(torch.tensor([0])).images[0, 0]
    assert torch.equal(image[:, 0], torch.tensor([0.0] * 4 + [1.0] * 4))


@pytest.mark.parametrize("turned", [False, True])
def test_the_centre_is_cut_out_or_the_whole_squeezed(tmp_path: Path, turned: bool) -> None:
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, :8], pixels[:, 16:] = 255, 255  # white, black, white: a square each
    Image.fromarray(pixels.transpose(1, 0, 2) if turned else pixels).save(tmp_path / "a.png")
    cut = load(f"folder:{tmp_path}?size=8&channels=3", "train").batch(torch.tensor([0])).images
    assert cut.shape == (1, 3, 8, 8)
    assert cut.max() == 0
    whole = load(f"folder:{tmp_path}?size=6&crop=none", "train").batch(torch.tensor([0])).images[0, 0]
    line = whole[:, 3] if turned else whole[3]
    assert line[0] > 0.9
    assert line[2:4].max() < 0.2
    assert line[5] > 0.9


def test_the_size_is_64_unless_asked_for(ten: str) -> None:
    assert load(ten, "train").size == 64
    assert load(f"{ten}?size=16", "train").size == 16
    assert load(f"{ten}?size=16", "train", size=8).size == 8


def test_subfolders_are_the_classes(tmp_path: Path) -> None:
    for i in range(10):
        paint(tmp_path / "dog" / f"{i}.png", (200, 0, 0))
        paint(tmp_path / "cat" / "deeper" / f"{i}.png", (0, 200, 0))
    data = load(f"folder:{tmp_path}", "train", size=4)
    batch = data.batch(torch.arange(len(data)))
    assert data.class_names == ("cat", "dog")
    assert batch.labels is not None
    assert torch.equal(batch.labels, (batch.images[:, 0, 0, 0] > 0).long())
    assert 0 < batch.labels.sum() < len(data)


@pytest.mark.parametrize("others", [["a/1.png", "a/2.png"], ["1.png", "2.png"]])
def test_without_two_subfolders_there_are_no_classes(tmp_path: Path, others: list[str]) -> None:
    for name in ["a/0.png", *others]:
        paint(tmp_path / name, (1, 2, 3))
    data = load(f"folder:{tmp_path}", "train", size=4)
    assert data.class_names == ()
    assert data.batch(torch.tensor([0])).labels is None


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", (1, 2, 3))
    paint(tmp_path / ".b.png", (4, 5, 6))
    paint(tmp_path / ".cache" / "c.png", (7, 8, 9))
    assert colours(f"folder:{tmp_path}") == [(1, 2, 3)]


def broken_in_train(ten: str, count: int) -> list[Path]:
    """Break the first `count` training pictures, each grey value 10 i, and return them."""
    root = Path(ten.removeprefix("folder:"))
    files = [root / file for file in folder._part([Path(f"{i}.png") for i in range(10)], "train")][:count]
    for file in files:
        file.write_bytes(file.read_bytes()[:40])
    return files


def test_broken_files_are_named_and_skipped(ten: str) -> None:
    sound = colours(ten)
    broken = broken_in_train(ten, 2)
    with pytest.warns(UserWarning, match="2 files skipped") as caught:
        assert colours(ten) == sound[2:]
    assert all(str(file) in str(caught[0].message) for file in broken)


def test_labels_stay_with_their_pictures_where_files_are_broken(tmp_path: Path) -> None:
    for i in range(10):
        paint(tmp_path / "ab"[i % 2] / f"{i}.png", (200 * (i % 2), 0, 0))
    name = f"folder:{tmp_path}"
    first = folder._part(sorted(file.relative_to(tmp_path) for file in tmp_path.glob("a/*.png")), "train")[0]
    (tmp_path / first).write_bytes(b"broken")
    with pytest.warns(UserWarning, match="1 files skipped"):
        data = load(name, "train", size=4)
    batch = data.batch(torch.arange(len(data)))
    assert len(data) == 5  # of each class two are held out
    assert batch.labels is not None
    assert torch.equal(batch.labels, (batch.images[:, 0, 0, 0] > 0).long())


def test_a_folder_of_broken_files_alone_is_refused(ten: str) -> None:
    broken_in_train(ten, 8)
    with warnings.catch_warnings(action="ignore"), pytest.raises(DataError, match="none of the 8 pictures"):
        load(ten, "train")


def test_a_large_folder_is_streamed_with_the_same_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    for i in range(12):
        file = tmp_path / "abc"[i % 3] / f"{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 30, 3), np.uint8)).save(file)
    name = f"folder:{tmp_path}?size=10"
    stored = load(name, "train")
    monkeypatch.setattr(folder, "LARGE", 6 * 3 * 10 * 10 - 1)
    streamed = load(name, "train")
    assert isinstance(stored, Stored)
    assert isinstance(streamed, folder.Streamed)
    for field in ("name", "channels", "size", "class_names"):
        assert getattr(streamed, field) == getattr(stored, field)
    assert len(streamed) == len(stored) == 6
    indices = torch.tensor([5, 0, 5, 3])
    one, other = stored.batch(indices), streamed.batch(indices)
    assert torch.equal(one.images, other.images)
    assert one.labels is not None
    assert other.labels is not None
    assert torch.equal(one.labels, other.labels)


def test_a_stream_takes_the_next_sound_picture_for_a_broken_one(ten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "LARGE", 0)
    sound = colours(ten)
    broken = broken_in_train(ten, 2)
    with pytest.warns(UserWarning, match="skipped: ") as caught:
        assert colours(ten) == [sound[2], sound[2], *sound[2:]]
    assert {str(file) for file in broken} == {str(warning.message).split()[1] for warning in caught}
    broken_in_train(ten, 8)
    data = load(ten, "train")
    with warnings.catch_warnings(action="ignore"), pytest.raises(DataError, match="no picture can be read"):
        data.batch(torch.tensor([0]))


@pytest.mark.parametrize(
    "name", ["folder:", "folder:nowhere-at-all", f"folder:{__file__}", f"folder:{'x' * 300}", "folder:~nobody-at-all/x"]
)
def test_what_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="names no folder"):
        load(name, "train")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no pictures"):
        load(f"folder:{tmp_path}", "train")


def test_two_pictures_are_too_few_to_hold_one_out(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", (1, 1, 1))
    paint(tmp_path / "b.png", (2, 2, 2))
    assert len(load(f"folder:{tmp_path}", "train")) == 2
    with pytest.raises(DataError, match="2 pictures, too few"):
        load(f"folder:{tmp_path}", "validation")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("sise=3", "did you mean size"),
        ("size=big", "size takes int"),
        ("size=", "size takes int"),
        ("size=-1", "size goes from 1"),
        ("crop=center", "did you mean centre"),
        ("large", "no setting 'large'"),
        ("channels=2", "1 channel"),
        ("size=5000", "to 4096"),
    ],
)
def test_options_that_make_no_sense_are_refused(ten: str, options: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(f"{ten}?{options}", "train")


def classes(root: Path, counts: dict[str, int]) -> str:
    """A folder of so many pictures of each class, each class of a colour of its own; the name of the data set."""
    for index, (name, count) in enumerate(counts.items()):
        for i in range(count):
            paint(root / name / f"{i}.png", (200, 10 * index, 0))
    return f"folder:{root}"


def labels(name: str, split: str = "train", **options: Any) -> list[int]:
    found = load(name, split, size=4, **options).labels
    assert found is not None
    return found.tolist()


def test_every_class_has_its_share_of_every_part(tmp_path: Path) -> None:
    name = classes(tmp_path, {"many": 60, "some": 20, "few": 3})
    shares = {split: torch.tensor(labels(name, split)).bincount().tolist() for split in ("train", "validation", "test")}
    assert shares == {"train": [1, 48, 16], "validation": [1, 6, 2], "test": [1, 6, 2]}  # few, many, some


def test_a_class_of_two_pictures_is_for_training_alone_and_named(tmp_path: Path) -> None:
    name = classes(tmp_path, {"big": 30, "small": 2})
    with pytest.warns(ImpastoWarning, match="too few pictures .*: small;"):
        assert labels(name).count(1) == 2
    with warnings.catch_warnings(action="ignore"):
        assert labels(name, "test") == [0, 0, 0]


def test_where_every_class_is_small_some_of_all_are_held_out(tmp_path: Path) -> None:
    name = classes(tmp_path, dict.fromkeys("abcdefghij", 2))
    assert [len(labels(name, split)) for split in ("train", "validation", "test")] == [16, 2, 2]


def test_numbers_in_class_names_go_by_their_size(tmp_path: Path) -> None:
    names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]
    name = classes(tmp_path, dict.fromkeys(reversed(names), 3))
    assert load(name, "train", size=4).class_names == tuple(names)
    assert load(classes(tmp_path / "text", {"b10": 3, "b9": 3, "a": 3}), "train").class_names == ("a", "b9", "b10")


def test_a_run_keeps_the_order_of_its_classes(tmp_path: Path) -> None:
    name = classes(tmp_path, {"cat": 3, "dog": 6})
    data = load(name, "train", size=4, class_names=("dog", "owl", "cat"))
    assert data.class_names == ("dog", "owl", "cat")
    assert data.labels is not None
    assert data.labels.tolist() == [2, 0, 0, 0, 0]
    assert load(name, "train", class_names=("dog", "hen")).class_names == ("cat", "dog")
    assert load(name, "train", class_names=()).labels is None


def test_an_empty_class_is_said_and_is_none(tmp_path: Path) -> None:
    name = classes(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "c" / "d").mkdir(parents=True)
    with pytest.warns(ImpastoWarning, match="no pictures in c;"):
        assert load(name, "train").class_names == ("a", "b")


def test_a_picture_beside_the_classes_is_said_and_left_out(tmp_path: Path) -> None:
    name = classes(tmp_path, {"a": 3, "b": 3})
    paint(tmp_path / "stray.png", (0, 0, 200))
    with pytest.warns(ImpastoWarning, match="1 pictures beside .* such as stray.png"):
        assert labels(name) == [0, 1]


def test_links_to_folders_and_pictures_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    classes(tmp_path / "store", {"x": 3, "y": 3})
    root = tmp_path / "linked"
    (root / "pairs").mkdir(parents=True)
    (root / "x").symlink_to(tmp_path / "store" / "x")
    for i in range(3):
        (root / "pairs" / f"{i}.png").symlink_to(tmp_path / "store" / "y" / f"{i}.png")
    (tmp_path / "store" / "x" / "round").symlink_to(root)
    (root / "pairs" / "again").symlink_to(root / "pairs")
    assert load(f"folder:{root}", "train").class_names == ("pairs", "x")
    own = [file for file in folder.pictures_in(root) if len(file.parts) == 2]
    assert [file.as_posix() for file in own] == [f"{name}/{i}.png" for name in ("pairs", "x") for i in range(3)]


def test_folders_called_as_pictures_and_files_of_the_system_are_none(ten: str) -> None:
    root = Path(ten.removeprefix("folder:"))
    (root / "dir.jpg").mkdir()
    (root / "Thumbs.db").write_bytes(b"x")
    (root / "._0.png").write_bytes(b"x")
    with warnings.catch_warnings(action="error"):
        assert len(colours(ten)) == 8


def test_a_question_mark_may_be_part_of_the_name_of_a_folder(tmp_path: Path) -> None:
    name = classes(tmp_path / "what?size=8", {"a": 3, "b": 3})
    assert load(name, "train").size == 64
    assert load(f"{name}?size=8", "train").size == 8
    assert len(load(f"{name}?size=8", "train").class_names) == 2


def grey_folder(root: Path) -> str:
    ramp = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for i in range(12):
        Image.fromarray(ramp + i).convert("RGB" if i % 2 else "L").save(root / f"{i}.{'png' if i % 3 else 'jpg'}")
    return f"folder:{root}?size=8"


def test_a_folder_of_grey_pictures_has_one_channel(tmp_path: Path) -> None:
    name = grey_folder(tmp_path)
    assert [load(name, split).channels for split in ("train", "validation", "test")] == [1, 1, 1]
    assert load(f"{name}&channels=3", "train").channels == 3
    assert load(name, "train", channels=3).channels == 3
    paint(tmp_path / "red.png", (200, 0, 0))
    assert [load(name, split).channels for split in ("train", "validation", "test")] == [3, 3, 3]


def test_grey_weighs_the_colours_as_pillow_does(tmp_path: Path) -> None:
    random = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(random).save(tmp_path / "a.png")
    grey = load(f"folder:{tmp_path}?size=8&channels=1", "train").batch(torch.tensor([0])).images[0, 0] * 255
    assert np.abs(grey.numpy() - np.asarray(Image.fromarray(random).convert("L"), float)).max() <= 1


def test_hidden_colours_of_transparent_pixels_leave_a_folder_grey(tmp_path: Path) -> None:
    pixels = np.full((8, 8, 4), 90, np.uint8)
    pixels[:4] = (255, 0, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert load(f"folder:{tmp_path}", "train").channels == 1
