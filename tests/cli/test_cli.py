"""The command line as a whole: quick to answer, one line for an error."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import impasto as package
from impasto.style.settings import Settings

Impasto = Callable[..., Any]  # the fixture in conftest.py


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, impasto.cli\ntry: impasto.cli.main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert "Repaint" in done.stdout
    assert not {"torch", "numpy", "PIL", "pooch", "skimage", "rich.progress"} & set(done.stderr.split())


def test_no_words_and_version(impasto: Impasto) -> None:
    assert "Style transfer" in impasto().out
    assert impasto("--version").out == f"impasto {package.__version__}\n"


def test_every_setting_has_an_option_and_shows_its_default(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = impasto("style", "--help").out
    for name, default in {field.name: field.default for field in dataclasses.fields(Settings)}.items():
        option = "--" + name.replace("_", "-").removesuffix("s" if name == "style_weights" else "")
        line = next(line for line in text.splitlines() if line.startswith(f"│ {option}"))
        assert default is None or f"(default {default})" in line, line


def test_what_stands_in_brackets_is_shown(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "(default runs/FAMILY-NAME)" in impasto("train", "--help").out


def test_families_that_can_be_trained_are_those_there_are(impasto: Impasto) -> None:
    from impasto import models
    from impasto.cli import train

    assert (*models.FAMILIES, "anystyle") == train.FAMILIES


COMPLETIONS = {
    "impasto sty": {"style", "styles"},
    "impasto style photo.jpg s": {"swirl"},
    "impasto style photo.jpg swirl --quality g": {"gallery", "gatys"},
    "impasto texture ink --seamless ": {"no", "x", "y", "both"},
    "impasto sample mnist-v": {"mnist-vae", "mnist-vae2d"},
    "impasto train vae --data m": {"mnist"},
    "impasto weights fetch v": {"vgg16", "vgg19"},
}


@pytest.mark.parametrize("line", COMPLETIONS)
def test_the_shell_completes_commands_options_and_values(line: str) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_IMPASTO_COMPLETE": "complete_bash"}
    code = "import sys; sys.argv = ['impasto']; from impasto.cli import main\n"
    code += "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **words}, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == COMPLETIONS[line]
    assert not {"torch", "numpy", "PIL"} & set(done.stderr.split()), "the shell would wait"


@pytest.mark.parametrize(
    "words", [["paint"], ["style"], ["weights"], ["weights", "path", "other"], ["inspect"], ["demo", "--photo", "dog"]]
)
def test_wrong_words_are_one_line(impasto: Impasto, folder: Path, words: list[str]) -> None:
    code, out, err = impasto(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")


FULL = [MemoryError(), OSError(28, "No space left on device"), RuntimeError("can't allocate memory")]


@pytest.mark.parametrize("error", FULL, ids=repr)
def test_a_full_machine_is_one_line(impasto: Impasto, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("impasto.weights.listing", fail)
    code, _, err = impasto("weights", "list")
    assert (code, err.count("\n")) == (2, 1)


def test_a_bug_of_ours_is_not_hidden(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.weights.listing", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        impasto("weights", "list")


def test_ctrl_c_outside_of_a_run_is_one_line(impasto: Impasto, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("impasto.weights.listing", stop)
    assert impasto("weights", "list") == (130, "", "stopped\n")


def test_weights(impasto: Impasto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path))
    listed = impasto("weights", "list").out
    assert "compact" in listed and "not fetched yet" in listed
    assert Path(impasto("weights", "path", "vgg19").out.strip()).is_relative_to(tmp_path)
    assert Path(impasto("weights", "fetch", "compact").out.strip()).is_file()


def test_styles_are_listed_with_their_files(impasto: Impasto) -> None:
    lines = [line.split(maxsplit=1) for line in impasto("styles").out.splitlines()]
    assert "swirl" in dict(lines)
    assert all(Path(file).is_file() for _, file in lines)


def test_demo(impasto: Impasto, folder: Path) -> None:
    code, out, err = impasto("demo", "--size", "32")
    assert (code, err) == (0, "")
    assert out.startswith("impasto-demo.png: ") and out.rstrip().endswith(" s")
    assert Path("impasto-demo.png").is_file()
