"""Pairs of a content and a style, from folders of any pictures."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from impasto.data import pairs
from impasto.errors import DataError


def folder(path: Path, colours: list[tuple[int, int, int]], size: tuple[int, int] = (200, 150)) -> Path:
    path.mkdir()
    for number, colour in enumerate(colours):
        Image.new("RGB", size, colour).save(path / f"{number:02}.png")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder(tmp_path / "photos", [(10 * i, 0, 0) for i in range(25)])


@pytest.fixture
def paintings(tmp_path: Path) -> Path:
    return folder(tmp_path / "paintings", [(0, 0, 250)] * 3, (130, 300))


def test_a_pair_is_a_content_with_a_style_behind_it(photos: Path, paintings: Path) -> None:
    data, _ = pairs.load(photos, paintings, 128)
    torch.manual_seed(0)
    images = data.batch(torch.arange(20)).images
    assert images.shape == (20, 6, 128, 128) and 0 <= images.min() <= images.max() <= 1
    contents, styles = images.split(3, 1)
    itself = (contents == styles).flatten(1).all(1)
    assert 0 < itself.sum() < 10  # one in eight gets itself
    blue = styles[~itself].mean((2, 3))
    torch.testing.assert_close(blue, torch.tensor([0, 0, 250 / 255]).expand_as(blue), atol=1e-3, rtol=0)
    assert contents[:, 1:].max() == 0  # photographs here are red


def test_what_is_validated_on_is_not_learnt(photos: Path, paintings: Path) -> None:
    data, held_out = pairs.load(photos, paintings, 128)
    assert len(held_out) == 2 and len(data) == 23
    assert not set(data.contents) & set(held_out.contents)


def test_the_global_seed_decides_the_crops(tmp_path: Path, paintings: Path) -> None:
    noisy = tmp_path / "noisy"
    noisy.mkdir()
    for number in range(3):
        Image.effect_noise((200, 180), 90).convert("RGB").save(noisy / f"{number}.png")
    data, _ = pairs.load(noisy, paintings, 128)
    batches = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        batches.append(data.batch(torch.tensor([0, 1])).images)
    assert torch.equal(batches[0], batches[1]) and not torch.equal(batches[0], batches[2])


def test_a_broken_picture_is_named_and_passed_over(photos: Path, paintings: Path) -> None:
    data, _ = pairs.load(photos, paintings, 128)
    data.contents[4].write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=data.contents[4].name):
        images = data.batch(torch.tensor([4])).images
    red = Image.open(data.contents[5]).getpixel((0, 0))
    assert isinstance(red, tuple)
    assert images[0, 0].mean().item() == pytest.approx(red[0] / 255, abs=1e-3)


def test_folders_that_cannot_be_learnt_from_are_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        pairs.load(photos, tmp_path / "nowhere", 128)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        pairs.load(tmp_path / "empty", photos, 128)
    with pytest.raises(DataError, match="two are needed"):
        pairs.load(folder(tmp_path / "single", [(0, 0, 0)]), photos, 128)


def test_colours_under_full_transparency_are_never_learnt(tmp_path: Path) -> None:
    for name in ("photos", "paintings"):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.new("RGBA", (160, 160), (250, 0, 0, 0)).save(tmp_path / name / f"{number}.png")
    data, held_out = pairs.load(tmp_path / "photos", tmp_path / "paintings", 128)
    for part in (data, held_out):
        assert part.batch(torch.tensor([0])).images.min() > 0.999  # white
