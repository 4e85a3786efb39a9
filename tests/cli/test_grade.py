"""`impasto grade`, as a person meets it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto import provenance
from impasto.media import clip, lut
from impasto.media.picture import read

Impasto = Callable[..., Any]  # the fixture in conftest.py


@pytest.fixture
def frames(folder: Path) -> Path:
    """A folder of three frames, which are `photo.png`."""
    (folder / "frames").mkdir()
    for number in range(3):
        (folder / "frames" / f"{number}.png").write_bytes((folder / "photo.png").read_bytes())
    return folder / "frames"


def test_a_graded_picture_and_its_look(impasto: Impasto, folder: Path) -> None:
    code, out, err = impasto("grade", "photo.png", "mosaic", "-o", "out.png", "--lut", "look.cube")
    assert (code, out, err) == (0, "out.png\n", "")
    assert (read("out.png").pixels - read("photo.png").pixels).abs().mean() > 0.03
    found = json.loads(impasto("inspect", "out.png", "--json").out)
    assert found["labels"] == {"DigitalSourceType": provenance.ENHANCED}  # no network, so no AI
    assert found["recipe"]["inputs"]["reference"]["name"] == "mosaic.jpg"
    assert impasto("grade", "photo.png", "--apply", "look.cube", "-o", "again.png").code == 0
    assert (read("out.png").pixels - read("again.png").pixels).abs().max() < 1.1 / 255


def test_16_bits_stay(impasto: Impasto, folder: Path) -> None:
    levels = np.linspace(0, 65535, 96 * 64).astype(np.uint16).reshape(64, 96)
    Image.fromarray(levels).save("deep.png")
    assert impasto("grade", "deep.png", "wave", "-o", "out.tif", "--bits", "16").code == 0
    assert len(read("out.tif").pixels.unique()) > 1000


@pytest.mark.parametrize("out", ["out.mp4", "out.mov", "graded"])
def test_a_clip_and_the_look_of_all_of_it(impasto: Impasto, frames: Path, out: str) -> None:
    code, said, err = impasto("grade", "frames", "wave", "-o", out, "--lut", "look.png")
    assert (code, said, err) == (0, f"{out}\n", "")
    expected = lut.read("look.png")(read("photo.png").pixels)
    shown = list(clip.read(out))
    assert len(shown) == 3
    for frame in shown:
        pixels = frame.pixels[..., : expected.shape[2], : expected.shape[3]]
        assert (pixels - expected).abs().mean() < (2 if out == "graded" else 8) / 255


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("photo.png -o out.png", "name a reference, or a look with --apply"),
        ("photo.png wave --apply wave.cube -o out.png", "name a reference, or a look with --apply"),
        ("photo.png --apply none.cube -o out.png", "none.cube cannot be read"),
        ("photo.png --apply photo.png -o out.png", "no HaldCLUT"),
        ("photo.png wave -o out.png --resume", "--resume are for clips"),
        ("photo.png wave -o out.png --crf 9", "--crf and --resume are for clips"),
        ("none.png wave -o out.png", "none.png does not exist"),
        ("photo.png none.png -o out.png", "none.png does not exist"),
        ("photo.png wave -o out.png --lut look.txt", ".cube or .png"),
        ("photo.png wave -o out.png --strength 2", "strength goes from 0 to 1, not 2"),
        ("photo.png wave -o out.png --method best", "transport"),
        ("frames wave -o out.png", "frames"),
        ("photo.png wave -o out.mp4 --bits 16", "16 bits"),
    ],
)
def test_what_cannot_be_is_one_line(impasto: Impasto, frames: Path, words: str, says: str) -> None:
    code, out, err = impasto("grade", *words.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err and not any(Path(name).exists() for name in ("out.png", "out.mp4", "look.txt"))
