"""`impasto texture` as a person meets it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Impasto = Callable[..., Any]  # the fixture in conftest.py


def test_a_texture_is_made_and_says_where(impasto: Impasto, folder: Path) -> None:
    words = ("--width", "70", "--height", "40", "--seamless", "x", "--scale", "0.5", "--steps", "1")
    assert impasto("texture", "mosaic", "photo.png", "-o", "out.png", *words) == (0, "out.png\n", "")
    assert Image.open("out.png").size == (70, 40)
    recipe = json.loads(impasto("inspect", "out.png", "--json").out)["recipe"]
    assert recipe["command"] == "texture" and recipe["settings"]["seamless"] == "x"
    assert recipe["settings"]["scale"] == 0.5 and len(recipe["styles"]) == 2


def test_json_is_a_line_per_step(impasto: Impasto, folder: Path) -> None:
    code, out, _ = impasto(
        "texture", "ink", "-o", "out.png", "--width", "48", "--height", "48", "--steps", "2", "--json"
    )
    *steps, end = map(json.loads, out.splitlines())
    assert code == 0 and steps[-1]["done"] == 1
    assert (end["output"], end["width"], end["height"]) == ("out.png", 48, 48)


@pytest.mark.parametrize(
    ("words", "message"),
    [(("none.png", "-o", "out.png"), "none.png does not exist"), (("ink", "-o", "out.txt"), "out.txt"),
     (("ink", "-o", "out.png", "--height", "8"), "height goes from 32 to 100000"),
     (("ink", "-o", "out.png", "--scale", "3"), "scale goes from 0.05 to 1"),
     (("ink", "-o", "out.png", "--seamless", "z"), "there is no seamless 'z'")],
)  # fmt: skip
def test_bad_input_gets_one_line(words: tuple[str, ...], message: str, impasto: Impasto, folder: Path) -> None:
    code, out, err = impasto("texture", *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err
    assert not Path("out.png").exists()


def test_a_texture_is_not_repeated_as_a_picture(impasto: Impasto, folder: Path) -> None:
    assert impasto("texture", "ink", "-o", "out.png", "--width", "48", "--height", "48", "--steps", "1").code == 0
    code, _, err = impasto("style", "--recipe", "out.png", "-o", "again.png")
    assert code == 2 and "made by impasto texture" in err
