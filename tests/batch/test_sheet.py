"""The contact sheet, as pictures: what its cells show."""

from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from impasto.batch import sheet
from impasto.batch.tasks import Task
from impasto.style.settings import Settings

pillow_heif.register_heif_opener()  # which writes, too


def cells(folder: Path, content: Path, style: Path, output: Path) -> dict[str, np.ndarray]:
    """The middle pixel of the cells of a sheet of one content and one style."""
    assert sheet.draw([Task(content, (style,), output, Settings())], folder) == folder / sheet.NAME
    with Image.open(folder / sheet.NAME) as drawn:
        pixels = np.asarray(drawn).astype(int)
    near, far = sheet.GAP + sheet.CELL // 2, 2 * sheet.GAP + sheet.CELL * 3 // 2
    return {"content": pixels[far, near], "style": pixels[near, far], "output": pixels[far, far]}


def test_what_is_transparent_is_white_and_not_what_is_hidden_there(tmp_path: Path) -> None:
    hidden = Image.new("RGBA", (80, 80), (200, 0, 0, 0))
    for name in ("content.png", "style.webp", "output.tif"):
        hidden.save(tmp_path / name, **({"lossless": True, "exact": True} if name.endswith("webp") else {}))
    shown = cells(tmp_path, tmp_path / "content.png", tmp_path / "style.webp", tmp_path / "output.tif")
    assert all(colour.min() > 250 for colour in shown.values())


@pytest.mark.parametrize("name", ["a.heic", "a.jxl", "a.avif", "deep.tif", "deep.png"])
def test_every_content_that_is_read_is_shown(tmp_path: Path, name: str) -> None:
    if name.startswith("deep"):
        Image.fromarray(np.full((80, 80), 100 * 257, np.uint16)).save(tmp_path / name)
    else:
        Image.new("RGB", (80, 80), (100, 100, 100)).save(tmp_path / name)
    Image.new("RGB", (80, 80)).save(tmp_path / "output.png")
    (tmp_path / "saved.style").touch()
    shown = cells(tmp_path, tmp_path / name, tmp_path / "saved.style", tmp_path / "output.png")
    assert abs(shown["content"] - 100).max() <= 4
    assert shown["style"].min() == shown["style"].max() > 200  # light grey
    assert shown["output"].max() <= 4
