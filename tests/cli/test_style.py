"""`impasto style`: what it writes, what it prints, and what it does with wrong input and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from impasto.media.inspect import inspect
from impasto.style.settings import Settings

Impasto = Callable[..., Any]  # the fixture in conftest.py

QUICK = ("--size", "64", "--steps", "2")
IMPASTO = [sys.executable, "-c", "from impasto.cli import main; main()"]


def test_piped_it_prints_the_path_and_nothing_else(impasto: Impasto, folder: Path) -> None:
    assert impasto("style", "photo.png", "swirl", "-o", "out.png", *QUICK) == (0, "out.png\n", "")
    with Image.open("out.png") as image:
        assert image.size == (64, 48)
    assert not list(folder.glob(".impasto*"))


def test_options_reach_settings_and_job(impasto: Impasto, folder: Path) -> None:
    words = ["--color", "luminance", "--mask", "left.png", "--mask", "photo.png", "--protect", "left.png"]
    words += ["--init", "photo.png", "--seed", "7", "--tv-weight", "0.5", "--optimizer", "lbfgs", "--strength", "0.5"]
    words += ["--style-layers", "block1_conv1,block2_conv1", "--content-layers", "block3_conv4", "--device", "cpu"]
    assert impasto("style", "photo.png", "swirl", "ink", "-o", "out.png", *QUICK, *words).code == 0
    recipe = inspect("out.png")["recipe"]
    assert [style["name"] for style in recipe["styles"]] == ["swirl.jpg", "ink.jpg"]
    assert set(recipe["masks"]) == {"mask 1", "mask 2", "protect", "init"}
    expected = {"colour": "luminance", "seed": 7, "variation_weight": 0.5, "optimiser": "lbfgs", "strength": 0.5}
    expected |= {"style_layers": ["block1_conv1", "block2_conv1"], "size": 64, "steps": 2, "device": "cpu"}
    assert expected.items() <= recipe["settings"].items()


def test_what_is_not_given_is_left_to_settings(impasto: Impasto, folder: Path) -> None:
    impasto("style", "photo.png", "swirl", "-o", "out.png", *QUICK, "--init", "noise")
    given = {
        "size": 64,
        "steps": 2,
        "init": "noise",
        "tile": 256,
    }  # the tile is recorded, so that a repetition cuts alike
    settings = inspect("out.png")["recipe"]["settings"]
    assert settings == {name: value for name, value in vars(Settings(**given)).items() if value is not None}


def test_style_weights_and_output_options(impasto: Impasto, folder: Path) -> None:
    weights = ["--style-weight", "3", "--style-weight", "1"]
    words = ["style", "photo.png", "swirl", "ink", *QUICK]
    assert impasto(*words, *weights, "-o", "a.png", "--bits", "16", "--label", "cn").code == 0
    found = inspect("a.png")
    assert found["recipe"]["settings"]["style_weights"] == [3.0, 1.0]
    assert "AIGC" in found["labels"]
    assert Path("a.png").read_bytes()[24] == 16  # the bit depth in IHDR
    assert impasto(*words, "-o", "b.png", "--no-metadata").code == 0
    assert inspect("b.png") == {"recipe": None, "labels": {}}


def test_json_lines(impasto: Impasto, folder: Path) -> None:
    code, out, err = impasto("style", "photo.png", "swirl", "-o", "out.png", *QUICK, "--json")
    *steps, end = map(json.loads, out.splitlines())
    assert (code, err) == (0, "")
    assert [step["step"] for step in steps] == [1, 2]
    assert steps[-1]["done"] == 1 and steps[-1]["size"] == [64, 48]
    assert end["loss"] == steps[-1]["loss"] == pytest.approx(sum(steps[-1]["terms"].values()))
    assert (end["output"], end["width"], end["height"], end["stopped"]) == ("out.png", 64, 48, False)
    assert 0 < end["seconds"] < 60


def test_save_every(impasto: Impasto, folder: Path) -> None:
    impasto("style", "photo.png", "swirl", "-o", "out.png", "--size", "64", "--steps", "5", "--save-every", "2")
    assert sorted(path.name for path in folder.glob("out*")) == ["out-0002.png", "out-0004.png", "out.png"]
    assert len({path.read_bytes() for path in folder.glob("out*")}) == 3


WRONG = {
    "missing content": "none.png swirl -o out.png",
    "content is a directory": "sub swirl -o out.png",
    "truncated": "cut.png swirl -o out.png",
    "empty": "empty.png swirl -o out.png",
    "not a picture": "text.png swirl -o out.png",
    "missing style": "photo.png none.jpg -o out.png",
    "unknown style": "photo.png whirl -o out.png",
    "no style": "photo.png -o out.png",
    "too large": "photo.png swirl -o out.png --max-pixels 100",
    "unknown extension": "photo.png swirl -o out.xyz",
    "no such folder": "photo.png swirl -o none/out.png",
    "output is a directory": "photo.png swirl -o sub",
    "unwritable": "photo.png swirl -o /proc/out.png",
    "jpeg with 16 bits": "photo.png swirl -o out.jpg --bits 16",
    "12 bits": "photo.png swirl -o out.png --bits 12",
    "quality": "photo.png swirl -o out.png --quality best",
    "size is a word": "photo.png swirl -o out.png --size big",
    "size 0": "photo.png swirl -o out.png --size 0",
    "size for WebP": "photo.png swirl -o out.webp --size 20000",
    "steps": "photo.png swirl -o out.png --steps 0",
    "strength": "photo.png swirl -o out.png --strength nan",
    "style scale": "photo.png swirl -o out.png --style-scale 0",
    "two weights": "photo.png swirl -o out.png --style-weight 1 --style-weight 1",
    "two masks": "photo.png swirl -o out.png --mask left.png --mask left.png",
    "colour": "photo.png swirl -o out.png --colour mauve",
    "init": "photo.png swirl -o out.png --init middle.png",
    "layer": "photo.png swirl -o out.png --style-layers block9",
    "network": "photo.png swirl -o out.png --network alexnet",
    "device": "photo.png swirl -o out.png --device abacus",
    "save every 0": "photo.png swirl -o out.png --save-every 0",
    "label": "photo.png swirl -o out.png --label eu",
    "label without metadata": "photo.png swirl -o out.png --label cn --no-metadata",
    "unknown option": "photo.png swirl -o out.png --brush 3",
    "weights": "photo.png swirl -o out.png --weights none.h5 --network vgg19",
    "recipe of a plain picture": "--recipe photo.png -o out.png",
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_wrong_input_is_one_line_and_harms_nothing(impasto: Impasto, folder: Path, words: str) -> None:
    Path("sub").mkdir()
    Path("cut.png").write_bytes(Path("photo.png").read_bytes()[:500])
    Path("empty.png").touch()
    Path("text.png").write_text("text")
    Path("out.png").write_bytes(b"precious")
    before = set(folder.iterdir())
    code, out, err = impasto("style", *QUICK, *words.split())
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("error: ") and len(err) > len("error: \n")
    assert Path("out.png").read_bytes() == b"precious"
    assert set(folder.iterdir()) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_locked_folder(impasto: Impasto, folder: Path) -> None:
    Path("locked").mkdir(mode=0o500)
    code, _, err = impasto("style", "photo.png", "swirl", "-o", "locked/out.png", *QUICK)
    assert (code, err.count("\n")) == (2, 1)


def test_the_output_is_checked_before_the_work(impasto: Impasto, folder: Path) -> None:
    _, out, err = impasto("style", "none.png", "swirl", "-o", "out.xyz", "--json")
    assert "extension" in err and out == ""


def test_an_unknown_style_is_told_the_bundled_ones(impasto: Impasto, folder: Path) -> None:
    assert "swirl" in impasto("style", "photo.png", "whirl", "-o", "out.png").err


def test_a_file_called_like_a_bundled_style_comes_first(impasto: Impasto, folder: Path) -> None:
    Path("swirl").write_bytes(Path("photo.png").read_bytes())
    assert impasto("style", "photo.png", "swirl", "-o", "out.png", *QUICK).code == 0
    assert inspect("out.png")["recipe"]["styles"][0]["name"] == "swirl"


def test_escapes_in_a_name_do_not_reach_the_terminal(impasto: Impasto, folder: Path) -> None:
    err = impasto("style", "a\x1b[2J\nb.png", "swirl", "-o", "out.png").err
    assert err.count("\n") == 1 and "\x1b" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_leaves_the_picture_so_far(folder: Path) -> None:
    words = ["style", "photo.png", "swirl", "-o", "out.png", "--size", "256", "--steps", "100000", "--json"]
    with subprocess.Popen([*IMPASTO, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout and run.stderr
        first = json.loads(run.stdout.readline())
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert first["step"] == 1
    assert err.count("\n") == 1 and err.startswith("stopped: out.png is the picture so far")
    assert json.loads(out.splitlines()[-1])["stopped"] is True
    with Image.open("out.png") as image:
        image.load()
        assert image.size == (256, 192)  # of the result, not of the scale reached
    assert not list(folder.glob(".impasto*"))


def test_a_terminal_sees_a_bar_and_loss_lines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from io import StringIO

    from impasto.cli import paint
    from impasto.style.stylize import Progress

    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    bar = paint._Bar("gatys", shown=True)
    for step in (99, 100):
        bar.show(Progress(1, 1, step, 200, step / 200, {"style": 4.0}, (64, 48), lambda: None))
    bar.stop()
    shown = terminal.getvalue()
    assert "step 100: loss 4" in shown and "step 99:" not in shown
    assert "step 100/200" in shown and "left" in shown


def test_a_style_is_kept_in_a_small_file(impasto: Impasto, folder: Path) -> None:
    assert impasto("style", "photo.png", "--save-style", "noise.style") == (0, "noise.style\n", "")
    assert impasto("style", "photo.png", "noise.style", "--quality", "draft", "-o", "out.png") == (0, "out.png\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photo.png", "meadow"], "say where the picture goes"),
        (["photo.png", "meadow", "--save-style", "x.style"], "one picture becomes one style"),
        (["photo.png", "--save-style", "x.png"], "ends in .style"),
        (["photo.png", "nothing.style", "-o", "out.png"], "nothing.style does not exist"),
    ],
)
def test_a_style_is_saved_of_one_picture(impasto: Impasto, folder: Path, words: list[str], said: str) -> None:
    code, out, err = impasto("style", *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err
