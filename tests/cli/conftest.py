"""The command line as a person meets it: what goes to standard output and error, and the exit code."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from impasto.__main__ import main


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Impasto = Callable[..., Answer]


@pytest.fixture
def impasto(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Impasto:
    """Run a command in this process: importing torch anew for each would take most of the time."""

    def run(*words: str | Path) -> Answer:
        monkeypatch.setattr("sys.argv", ["impasto", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main()
        return Answer(int(ending.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture `photo.png` and a mask `left.png` in it."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC).save("photo.png")
    mask = np.zeros((72, 96), dtype=np.uint8)
    mask[:, :48] = 255
    Image.fromarray(mask).save("left.png")
    return tmp_path
