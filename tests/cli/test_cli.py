"""The command line as a whole: quick to answer, one line for an error."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import impasto as package
from impasto.cli import options

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
    for name, default in options.DEFAULTS.items():
        option = "--" + name.replace("_", "-").removesuffix("s" if name == "style_weights" else "")
        line = next(line for line in text.splitlines() if option in line)
        assert default is None or f"(default {default})" in line, line


def test_default_size_in_the_help_is_the_one_in_the_engine(impasto: Impasto) -> None:
    from impasto.style.stylize import LONGEST_DEFAULT

    assert f"at most {LONGEST_DEFAULT}" in " ".join(impasto("style", "--help").out.replace("│", " ").split())


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
