"""The examples: their drawn material, and each to its end, with a step where it takes dozens."""

import dataclasses
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import rocket

from impasto.media import lut
from impasto.media.picture import read
from impasto.style import texture
from impasto.style.settings import QUALITIES

EXAMPLES = Path(__file__).parent.parent / "examples"
MADE = {
    "brand_campaign": (
        "brand/sheet.jpg", "brand/campaign/bottle.png", "brand/campaign/mood.png", "brand/campaign/paper.png",
    ),
    "fashion_print": ("fashion/print.png", "fashion/worn.png"),
    "film_and_game": ("film/painted/frame_00001.png", "film/surface.png", "film/sheet.jpg"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def beside_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "products", raising=False)


def test_masks_are_white_where_the_things_are() -> None:
    from products import garment, products

    things = {**products(), "garment": garment()}
    assert len(things) == 5
    for name, (picture, mask) in things.items():
        cover = np.asarray(mask.convert("L")) / 255
        assert 0.05 < cover.mean() < 0.6, name
        assert cover.max() == 1 and cover[:5].max() == 0  # whole inside, and clear of the border
        colours = np.asarray(picture, dtype=float)
        inside, outside = colours[cover == 1].mean(0), colours[cover == 0].mean(0)
        assert np.abs(inside - outside).max() > 10, name


def test_a_walk_moves_slowly_and_stays_inside() -> None:
    from products import walk

    frames = [np.asarray(frame, dtype=float) for frame in walk(24, Image.fromarray(rocket()))]
    assert {frame.shape for frame in frames} == {(270, 480, 3)}
    near, far = (np.abs(frame - frames[0]).mean() for frame in (frames[1], frames[-1]))
    assert 0.1 < near < 0.5 * far


@pytest.mark.parametrize("name", MADE)
def test_an_example_makes_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(QUALITIES, "fine", dataclasses.replace(QUALITIES["fine"], steps=(1,), coarse_to_fine=False))
    monkeypatch.setattr(texture, "TEXTURE_STEPS", (1,))
    example = importlib.import_module(name)
    if name == "film_and_game":
        monkeypatch.setattr(example, "FRAMES", 3)
    if name == "brand_campaign":
        bottle = [shown.resize((96, 96)) for shown in example.products()["bottle"]]
        monkeypatch.setattr(example, "products", lambda: {"bottle": bottle})
    example.main()
    if name == "film_and_game":
        assert lut.read(tmp_path / "runs" / "film" / "look.cube").table.shape == (33, 33, 33, 3)
    for made in MADE[name]:
        assert read(tmp_path / "runs" / made).pixels.std() > 0.05
    assert "False" not in capsys.readouterr().out  # of what must not have changed
