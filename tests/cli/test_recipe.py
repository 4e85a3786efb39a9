"""`--recipe` repeats a run to the byte, and trusts nothing; `impasto inspect` shows what it would repeat."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto import provenance
from impasto.media.inspect import inspect
from impasto.media.picture import Picture, read

Impasto = Callable[..., Any]  # the fixture in conftest.py

QUICK = ("--size", "64", "--steps", "2")


@pytest.fixture
def made(impasto: Impasto, folder: Path) -> Path:
    """A picture with everything a recipe can hold: two styles, masks, a start, the label."""
    words = ["--mask", "left.png", "--mask", "photo.png", "--protect", "left.png", "--init", "photo.png"]
    output = ["--seed", "3", "-o", "made.png", "--label", "cn"]
    assert impasto("style", "photo.png", "swirl", "ink", *QUICK, *words, *output).code == 0
    return Path("made.png")


def forged(path: Path, recipe: dict[str, Any]) -> None:
    """Write a picture with another recipe, as a stranger may."""
    Picture(read(path).pixels, recipe=recipe).save(path)


def test_the_same_bytes(impasto: Impasto, made: Path) -> None:
    assert impasto("style", "--recipe", made, "-o", "again.png") == (0, "again.png\n", "")
    assert Path("again.png").read_bytes() == made.read_bytes()


def test_inputs_are_found_beside_the_picture(impasto: Impasto, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert impasto("style", "--recipe", "../made.png", "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == Path("../made.png").read_bytes()


def test_inputs_can_be_named(impasto: Impasto, made: Path) -> None:
    Path("moved").mkdir()
    shutil.move("photo.png", "moved/photo.png")
    err = impasto("style", "--recipe", made, "-o", "again.png").err
    assert "content" in err and "photo.png" in err
    words = ["moved/photo.png", "swirl", "ink", "--mask", "left.png", "--mask", "moved/photo.png"]
    assert impasto("style", *words, "--init", "moved/photo.png", "--recipe", made, "-o", "again.png").code == 0
    assert Path("again.png").read_bytes() == made.read_bytes()


def test_another_file_of_the_same_name_is_refused(impasto: Impasto, made: Path) -> None:
    shutil.copy("photo.png", "left.png")
    code, _, err = impasto("style", "--recipe", made, "-o", "again.png")
    assert code == 2 and "left.png" in err and "SHA-256" in err
    code, _, err = impasto("style", "made.png", "--recipe", made, "-o", "again.png")
    assert code == 2 and err.startswith("error: content: made.png")
    assert not Path("again.png").exists()


def test_options_override_settings(impasto: Impasto, made: Path) -> None:
    assert impasto("style", "--recipe", made, "-o", "again.png", "--seed", "4", "--init", "noise").code == 0
    recipe, old = (inspect(name)["recipe"] for name in ("again.png", made))
    assert recipe["settings"] == old["settings"] | {"seed": 4, "init": "noise"}
    assert set(recipe["masks"]) == {"mask 1", "mask 2", "protect"}


def test_a_recipe_of_version_0_2_repeats_the_run_that_it_describes(impasto: Impasto, folder: Path) -> None:
    """It calls `init` "start", as a setting and as the role of a picture."""
    assert impasto("style", "photo.png", "swirl", *QUICK, "--init", "noise", "--seed", "5", "-o", "new.png").code == 0
    assert impasto("style", "photo.png", "swirl", *QUICK, "--init", "photo.png", "-o", "from.png").code == 0
    for name in ("new.png", "from.png"):
        recipe = inspect(name)["recipe"]
        if "init" in recipe["settings"]:
            recipe["settings"]["start"] = recipe["settings"].pop("init")
        else:
            recipe["masks"]["start"] = recipe["masks"].pop("init")
        Picture(read(name).pixels, recipe=recipe).save("old.png")
        assert impasto("style", "--recipe", "old.png", "-o", "again.png") == (0, "again.png\n", "")
        assert Path("again.png").read_bytes() == Path(name).read_bytes()


def test_other_weights_are_noted(impasto: Impasto, made: Path) -> None:
    recipe = inspect(made)["recipe"]
    forged(made, recipe | {"weights": {"compact": "0" * 64}})
    code, out, err = impasto("style", "--recipe", made, "-o", "again.png")
    assert (code, out) == (0, "again.png\n")
    assert err == "note: not the run that made made.png: other weights\n"


HOSTILE: dict[str, dict[str, Any]] = {
    "unknown setting": {"settings": {"shell": "rm"}},
    "word for a number": {"settings": {"size": "64"}},
    "truth for a number": {"settings": {"seed": True}},
    "number for a list": {"settings": {"style_layers": 3}},
    "list of numbers for words": {"settings": {"style_layers": [3]}},
    "list for a word": {"settings": {"quality": ["fine"]}},
    "senseless value": {"settings": {"strength": -1}},
    "not a number": {"settings": {"style_weights": ["nan"]}},
    "settings are a list": {"settings": [1]},
    "no settings": {"settings": None},
    "styles are a word": {"styles": "swirl"},
    "style without a name": {"styles": [{"sha256": ""}]},
    "name is a number": {"content": {"name": 1, "sha256": ""}},
    "another folder": {"content": {"name": "../../photo.png", "sha256": ["x"]}},
    "no folder": {"content": {"name": "..", "sha256": ""}},
    "zero byte": {"content": {"name": "a\0b", "sha256": ""}},
    "escape": {"content": {"name": "a\x1b[2J\nb", "sha256": ""}},
    "endless name": {"content": {"name": "a" * 5000, "sha256": ""}},
    "masks are a list": {"masks": [1]},
    "mask is a word": {"masks": {"mask 1": "left.png"}},
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_recipe_from_a_stranger_is_one_line(impasto: Impasto, folder: Path, change: dict[str, Any]) -> None:
    sources = {"content": provenance.source("photo.png"), "styles": [provenance.source("left.png")]}
    Picture(read("photo.png").pixels, recipe={**sources, "masks": {}, "settings": {}, **change}).save("odd.png")
    code, out, err = impasto("style", "--recipe", "odd.png", "-o", "again.png")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "\x1b" not in err
    assert not Path("again.png").exists()
    code, out, _ = impasto("inspect", "odd.png")
    assert code == 0 and "\x1b" not in out


def test_a_name_cannot_lead_into_another_folder(
    impasto: Impasto, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = provenance.source("photo.png") | {"name": "../photo.png"}
    styles = [provenance.source("photo.png")]
    Path("inner").mkdir()
    monkeypatch.chdir("inner")
    recipe = {"content": content, "styles": styles, "masks": {}, "settings": {}}
    Picture(read("../photo.png").pixels, recipe=recipe).save("odd.png")
    assert impasto("style", "--recipe", "odd.png", "-o", "again.png").code == 2


def test_inspect(impasto: Impasto, made: Path) -> None:
    code, out, _ = impasto("inspect", made, "photo.png")
    assert code == 0
    for part in ("made.png", "photo.png", "swirl.jpg", "settings seed", "AISystemUsed", "photo.png: no recipe"):
        assert part in out
    first, second = map(json.loads, impasto("inspect", made, "photo.png", "--json").out.splitlines())
    assert first["recipe"] == inspect(made)["recipe"]
    assert second == {"file": "photo.png", "recipe": None, "labels": {}}


def test_inspect_of_a_deep_recipe(impasto: Impasto, folder: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"a": deep}
    Picture(read("photo.png").pixels, recipe=deep).save("deep.png")
    assert impasto("inspect", "deep.png").code == 0
    assert impasto("inspect", "deep.png", "--json").code == 0
    np.testing.assert_array_equal(read("deep.png").pixels, read("photo.png").pixels)
