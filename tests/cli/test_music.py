"""`impasto music` as a person meets it."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from impasto.media import sound
from impasto.media.sound import Sound
from impasto.style import music

Impasto = Callable[..., Any]  # the fixture in conftest.py
RATE = 8000


@pytest.fixture
def sounds(folder: Path) -> Path:
    """`tune.wav` and `hiss.flac`, of one second each."""
    time = torch.arange(RATE) / RATE
    Sound((0.3 * torch.sin(2 * math.pi * 440 * time) * torch.exp(-4 * (time % 0.25)))[None], RATE).save("tune.wav")
    Sound(0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0)), RATE).save("hiss.flac")
    return folder


def test_a_sound_is_made_and_says_where(impasto: Impasto, sounds: Path) -> None:
    words = ("--steps", "2", "--strength", "0.5", "--label", "cn", "--plot")
    assert impasto("music", "tune.wav", "hiss.flac", "-o", "out.flac", *words) == (0, "out.flac\n", "")
    result = sound.read("out.flac")
    assert (result.rate, result.samples.shape) == (RATE, (1, RATE))
    assert Image.open("out.png").width > 1000  # three spectrograms
    found = json.loads(impasto("inspect", "out.flac", "--json").out)
    assert found["recipe"]["settings"]["strength"] == 0.5 and found["recipe"]["content"]["name"] == "tune.wav"
    assert found["labels"]["AIGC"]["Label"] == "1"


def test_json_is_a_line_per_step(impasto: Impasto, sounds: Path) -> None:
    code, out, _ = impasto("music", "tune.wav", "hiss.flac", "-o", "out.wav", "--steps", "3", "--json")
    *steps, end = map(json.loads, out.splitlines())
    assert code == 0 and [round(step["done"], 2) for step in steps] == [0.33, 0.67, 1.0]
    assert end["output"] == "out.wav" and not end["stopped"]


def test_ctrl_c_keeps_the_sound_so_far(impasto: Impasto, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transferring = music.transferring

    def stopped(*words: Any) -> Any:
        for number, step in enumerate(transferring(*words), 1):
            if number == 3:
                raise KeyboardInterrupt
            yield step

    monkeypatch.setattr(music, "transferring", stopped)
    code, out, err = impasto("music", "tune.wav", "hiss.flac", "-o", "out.wav", "--steps", "10")
    assert (code, out) == (130, "") and "out.wav is the sound so far (20% of the work)" in err
    assert sound.read("out.wav").seconds == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [(("none.wav", "hiss.flac", "-o", "out.wav"), "none.wav does not exist"),
     (("photo.png", "hiss.flac", "-o", "out.wav"), "photo.png"),
     (("tune.wav", "hiss.flac", "-o", "out.txt"), "is written as .wav"),
     (("tune.wav", "hiss.flac", "-o", "no/out.wav"), "there is no folder no"),
     (("tune.wav", "hiss.flac", "-o", "out.wav", "--method", "mozart"), "there is no method")],
)  # fmt: skip
def test_bad_input_gets_one_line(words: tuple[str, ...], message: str, impasto: Impasto, sounds: Path) -> None:
    code, out, err = impasto("music", *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err
    assert not Path("out.wav").exists()
