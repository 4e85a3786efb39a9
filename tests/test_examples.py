"""The worked examples of docs/trades.md, with a step where they take dozens."""

import dataclasses
import importlib
from pathlib import Path

import pytest

from impasto.media import picture
from impasto.style import texture
from impasto.style.settings import QUALITIES

MADE = {
    "brand_campaign": ("brand/sheet.jpg", "brand/campaign/bottle.png"),
    "fashion_print": ("fashion/print.png", "fashion/worn.png"),
    "film_and_game": ("film/painted/frame_00001.png", "film/surface.png"),
}


@pytest.mark.parametrize("name", MADE)
def test_an_example_makes_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "examples")
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
    for made in MADE[name]:
        assert picture.read(tmp_path / "runs" / made).pixels.std() > 0.05
    assert "False" not in capsys.readouterr().out  # of what must not have changed
