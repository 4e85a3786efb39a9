"""Every command looks at where it writes before it works, and writes over nothing that it reads."""

import os
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.cli import MENU, places
from impasto.files import HOST
from impasto.media.sound import Sound

Impasto = Callable[..., Any]  # the fixture in conftest.py

BEFORE = {  # of each command with an output: the words in front of it
    "style": ("photo.png", "swirl", "-o"),
    "batch": ("photo.png", "swirl", "-o"),
    "video": ("frames", "swirl", "-o"),
    "music": ("a.wav", "a.wav", "-o"),
    "texture": ("swirl", "-o"),
    "grade": ("photo.png", "swirl", "-o"),
    "demo": ("-o",),
    "sample": ("mnist-gan", "-o"),
    "inpaint": ("mnist-vae", "photo.png", "-o"),
    "interpolate": ("mnist-vae", "-o"),
    "latent": ("mnist-vae2d", "-o"),
    "noise": ("mnist-diffusion", "photo.png", "-o"),
    "train": ("vae", "--data", "glyphs", "-o"),
    "replay": ("frames", "-o"),
    "evaluate": ("mnist-cnn", "-o"),
    "compare": ("mnist-gan", "mnist-vae", "-o"),
    "export": ("mnist-cnn", "--onnx"),
}
FOLDERS = ("batch", "train")
ANY = ("evaluate", "export", *FOLDERS)  # their files may end in anything


def test_every_command_with_an_output_is_here() -> None:
    writing = {
        command.__name__
        for commands in MENU.values()
        for command in commands
        for hint in typing.get_type_hints(command, include_extras=True).values()
        if any(isinstance(mark, places.Writes) for mark in getattr(hint, "__metadata__", ()))
    }
    named = {c.__name__ for commands in MENU.values() for c in commands if "output" in c.__annotations__}
    assert writing == set(BEFORE) and named <= writing


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Whoever loads a network or a data set fails. There is a file `taken`, and a sound `a.wav`."""

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("work was done first")

    for name in ("models.library", "perception.registry", "data", "style.draft"):
        monkeypatch.setattr(f"impasto.{name}.load", fail)
    monkeypatch.setattr("impasto.models.library.trained", fail)
    (folder / "taken").write_text("a file")
    (folder / "frames").mkdir()
    (folder / "frames" / "1.png").write_bytes((folder / "photo.png").read_bytes())
    Sound(torch.zeros(1, 4000), 8000).save(folder / "a.wav")
    return folder


@pytest.mark.parametrize("command", BEFORE)
def test_a_place_that_is_none_is_said_before_the_work(impasto: Impasto, no_work: Path, command: str) -> None:
    ending = {"music": ".wav", "video": ".mp4", "style": ".png"}.get(command, ".png")
    wrong = ["taken/deep"] if command in FOLDERS else [f"none/x{ending}", f"taken/x{ending}"]
    if command not in ANY:
        wrong += ["x.foo", *(["none/x.gif"] if command in ("sample", "inpaint", "video") else [])]
    for place in wrong:
        code, out, err = impasto(command, *BEFORE[command], place)
        assert (code, out, err.count("\n")) == (2, "", 1), place
        assert err.startswith("error: ") and place.split("/")[0] in err


@pytest.mark.parametrize(
    "words",
    [("style", "photo.png", "--save-style", "none/x.style"), ("style", "photo.png", "--save-style", "x.png"),
     ("evaluate", "mnist-cnn", "--pictures", "taken"), ("export", "mnist-cnn", "--safetensors", "none/x.safetensors")],
)  # fmt: skip
def test_other_outputs_are_looked_at_too(impasto: Impasto, no_work: Path, words: tuple[str, ...]) -> None:
    code, _, err = impasto(*words)
    assert (code, err.count("\n")) == (2, 1)


READ_AND_WRITTEN = [
    ("style", "photo.png", "swirl", "-o", "photo.png"),
    ("style", "swirl", "photo.png", "-o", "photo.png"),
    ("style", "other.png", "swirl", "--mask", "photo.png", "-o", "./photo.png"),
    ("style", "other.png", "swirl", "--protect", "photo.png", "-o", "soft.png"),
    ("style", "photo.png", "swirl", "-o", "hard.png"),
    ("style", "other.png", "swirl", "--recipe", "photo.png", "-o", "photo.png"),
    ("style", "way-0010.png", "swirl", "-o", "way.png", "--save-every", "10"),
    ("video", "frames", "photo.png@0s", "-o", "frames"),
    ("video", "frames", "photo.png", "-o", "frames/new_%03d.png"),
    ("video", "a.mp4", "swirl", "-o", "a.mp4"),
    ("video", "frames", "x.preview.png", "-o", "x.mp4", "--preview"),
    ("music", "a.wav", "other.wav", "-o", "a.wav"),
    ("music", "other.wav", "a.wav", "-o", "a.wav"),
    ("texture", "photo.png", "-o", "photo.png"),
    ("inpaint", "mnist-vae", "photo.png", "-o", "photo.png"),
    ("inpaint", "mnist-vae", "in/00000.png", "-o", "in"),
    ("noise", "mnist-diffusion", "photo.png", "-o", "photo.png"),
    ("export", "run", "--safetensors", "run/model.safetensors"),
    ("evaluate", "run", "-o", "run/config.json"),
    ("evaluate", "run", "--data", "folder:in", "--pictures", "in"),
    ("batch", "in", "swirl", "-o", "in"),
    ("batch", "in/*.png", "swirl", "-o", "in"),
    ("batch", "style.csv", "-o", "in"),
    ("batch", "jobs.csv", "-o", "in"),
]


@pytest.mark.parametrize("words", READ_AND_WRITTEN, ids=" ".join)
def test_what_is_read_is_not_written_over(impasto: Impasto, no_work: Path, words: tuple[str, ...]) -> None:
    (no_work / "run").mkdir()
    (no_work / "in").mkdir()
    picture = (no_work / "photo.png").read_bytes()
    for name in ("other.png", "way-0010.png", "x.preview.png", "a.mp4", "other.wav", "in/a.png", "in/00000.png"):
        (no_work / name).write_bytes(picture)
    for name in ("config.json", "model.safetensors"):
        (no_work / "run" / name).write_text("{}")
    (no_work / "jobs.csv").write_text("content,style,output\nin/a.png,swirl,a.png\n")
    (no_work / "style.csv").write_text("content,style,output\nother.png,in/a.png,a.png\nother.png,swirl,b.png\n")
    (no_work / "soft.png").symlink_to("photo.png")
    os.link("photo.png", "hard.png")
    before = {file: file.read_bytes() for file in no_work.rglob("*") if file.is_file()}
    code, _, err = impasto(*words)
    assert (code, err.count("\n")) == (2, 1), err
    assert "read" in err or "where the results go" in err
    after = {file: file.read_bytes() for file in no_work.rglob("*") if file.is_file()}
    assert after == before


def test_over_an_input_where_that_is_meant(impasto: Impasto, folder: Path) -> None:
    before = Path("photo.png").read_bytes()
    Path(f".impasto-{HOST}-{2**22 + 1}-of_a_process_that_was_killed.png").touch()
    words = ("style", "photo.png", "swirl", "-o", "photo.png", "--quality", "draft", "--overwrite")
    assert impasto(*words).code == 0
    assert Path("photo.png").read_bytes() != before
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "words", [("style", "{}.png", "swirl"), ("style", "photo.png", "{}.jpg"), ("video", "{}.mp4", "swirl"),
              ("music", "{}.wav", "{}.wav"), ("texture", "{}.png"), ("inpaint", "mnist-vae", "{}.png")],
    ids=lambda words: words[0],
)  # fmt: skip
def test_an_address_is_called_one(impasto: Impasto, folder: Path, words: tuple[str, ...]) -> None:
    address = "https://example.org/a"
    output = {"video": "x.mp4", "music": "x.wav"}.get(words[0], "x.png")
    code, _, err = impasto(*(word.format(address) for word in words), "-o", output)
    assert code == 2 and err.startswith(f"error: {address}.")
    assert err.endswith("is an address, not a file; download it first\n")
