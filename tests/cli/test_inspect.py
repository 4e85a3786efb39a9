"""Whatever a command writes says how it was made and that an AI had a hand in it, and `impasto inspect` finds both."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from impasto import provenance
from impasto.media.animation import FORMATS as ANIMATIONS
from impasto.media.clip import FORMATS as CLIPS
from impasto.media.inspect import inspect
from impasto.media.picture import FORMATS as PICTURES
from impasto.media.picture import Picture
from impasto.media.sound import FORMATS as SOUNDS

Impasto = Callable[..., Any]  # the fixture in conftest.py

QUICK = "--quality draft --size 64"
DIFFUSION = "--set steps=2 -n 2"
PAINTED = {
    **{f"picture {end}": (f"style photo.png swirl {QUICK} -o out{end}", f"out{end}") for end in PICTURES},
    **{f"clip {end}": (f"video frames swirl --end 0.1 -o out{end}", f"out{end}") for end in CLIPS},
    **{f"sound {end}": (f"music tune.wav hiss.wav --steps 1 -o out{end}", f"out{end}") for end in SOUNDS},
    "folder of frames": ("video frames swirl -o painted", "painted"),
    "preview": ("video frames swirl -o out.mp4 --preview", "out.preview.png"),
    "every step": ("style photo.png swirl --size 64 --steps 2 --save-every 1 -o out.png", "out-0001.png"),
    "texture": ("texture ink --width 48 --height 48 --steps 1 -o out.png", "out.png"),
    "batch": (f"batch photo.png ink -o done {QUICK} --processes 1", "done/photo--ink.png"),
    "contact sheet": (f"batch photo.png ink -o done {QUICK} --processes 1", "done/contact-sheet.jpg"),
    "spectrograms": ("music tune.wav hiss.wav --steps 1 --plot -o out.wav", "out.png"),
    "demo": ("demo --size 48 -o out.png", "out.png"),
    "saved style": ("style photo.png --save-style out.style", "out.style"),
    "completed pictures": (f"inpaint mnist-diffusion photo.png {DIFFUSION} -o out.png", "out.png"),
    "completed film": (f"inpaint mnist-diffusion photo.png {DIFFUSION} -o out.gif", "out.gif"),
    "noise": ("noise mnist-diffusion photo.png -o out.png", "out.png"),
}
DRAWN = {
    "sheet": ("sample mnist-gan -n 4 -o out.png", "out.png"),
    "film of pictures": (f"sample mnist-diffusion {DIFFUSION} --film 2 -o out.png", "out.png"),
    "folder of pictures": ("sample mnist-gan -n 2 -o many", "many"),
    **{f"film {end}": (f"sample mnist-diffusion {DIFFUSION} -o out{end}", f"out{end}") for end in ANIMATIONS},
    "interpolate": ("interpolate mnist-gan --rows 1 --columns 2 -o out.png", "out.png"),
    "latent": ("latent mnist-vae2d -o out.png", "out.png"),
    "points": ("latent mnist-vae2d --data glyphs --points 50 -o out.png", "out-points.png"),
    "safetensors": ("export mnist-gan --safetensors out.safetensors", "out.safetensors"),
    "onnx": ("export mnist-cnn --onnx out.onnx", "out.onnx"),
}


@pytest.fixture
def inputs(folder: Path) -> Path:
    (folder / "frames").mkdir()
    for number in range(3):
        shutil.copy("photo.png", f"frames/{number}.png")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 8_000).astype(np.float32)
    tone = 0.5 * np.sin(np.arange(8_000) * 0.3).astype(np.float32)
    for name, wave in (("tune.wav", tone), ("hiss.wav", noise)):
        with av.open(name, "w") as container:
            stream: Any = container.add_stream("pcm_s16le", rate=8_000, layout="mono")
            samples = av.AudioFrame.from_ndarray((wave[None] * 32767).astype(np.int16), format="s16", layout="mono")
            samples.sample_rate, samples.pts = 8_000, 0
            container.mux(stream.encode(samples))
            container.mux(stream.encode())
    return folder


@pytest.mark.parametrize("words, file", {**PAINTED, **DRAWN}.values(), ids=[*PAINTED, *DRAWN])
def test_what_is_written_says_how_it_was_made_and_that_an_ai_made_it(
    words: str, file: str, impasto: Impasto, inputs: Path
) -> None:
    if "onnx" in words:
        pytest.importorskip("onnxscript")
    code, _, err = impasto(*words.split())
    assert code == 0, err
    found = json.loads(impasto("inspect", file, "--json").out)
    assert found["recipe"]["impasto"] and found["recipe"]["settings"]
    kind = provenance.DRAWN if (words, file) in DRAWN.values() else provenance.REPAINTED
    assert found["labels"]["DigitalSourceType"] == kind
    assert found["labels"]["AISystemUsed"] == "Impasto"
    shown = impasto("inspect", file).out
    assert "DigitalSourceType" in shown and "settings" in shown


def test_every_picture_of_a_folder_has_both(impasto: Impasto, inputs: Path) -> None:
    assert impasto("sample", "mnist-gan", "-n", "3", "-o", "many").code == 0
    files = sorted(Path("many").iterdir())
    lines = [json.loads(line) for line in impasto("inspect", *files, "--json").out.splitlines()]
    assert len(lines) == 3 and all(line["recipe"] and line["labels"] for line in lines)


def test_a_recipe_of_the_inputs_names_and_hashes_them(impasto: Impasto, inputs: Path) -> None:
    wanted = provenance.source("photo.png")
    for words, file in (PAINTED["saved style"], PAINTED["contact sheet"], PAINTED["noise"]):
        assert impasto(*words.split()).code == 0
        content = inspect(file)["recipe"]["content"]
        assert wanted in (content if isinstance(content, list) else [content])


@pytest.mark.parametrize("name", ["clip.avi", "clip.ts", "clip.flv", "photo.bmp", "photo.gif", "clip.mpg"])
def test_what_others_made_in_any_format_has_neither(name: str, impasto: Impasto, inputs: Path) -> None:
    if name.startswith("photo"):
        Image.open("photo.png").save(name)
    else:
        with av.open(name, "w") as container:
            stream: Any = container.add_stream("flv1" if name.endswith("flv") else "mpeg2video", rate=24)
            stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
            for _ in range(24):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((72, 96, 3), np.uint8))))
            container.mux(stream.encode())
    found = json.loads(impasto("inspect", name, "--json").out)
    assert found == {"file": name, "recipe": None, "labels": {}}


@pytest.mark.parametrize("name", ["a.style", "a.safetensors", "a.onnx", "a.avi", "a.png", "a.mp4", "a.txt"])
def test_what_is_missing_or_damaged_is_one_line_that_names_it(name: str, impasto: Impasto, folder: Path) -> None:
    assert f"{name} does not exist" in impasto("inspect", name).err
    Path(name).write_bytes(b"nothing of the kind" * 9)
    code, out, err = impasto("inspect", name)
    assert (code, out, err.count("\n")) == (2, "", 1) and f"error: {name} " in err


def test_a_recipe_of_any_length_is_shown_in_part_and_given_in_full(impasto: Impasto, folder: Path) -> None:
    many = {"content": {}, "long": "x" * 10**6, **{f"k{i}": i for i in range(10**4)}}
    Picture(torch.zeros(1, 3, 16, 16), recipe=many).save("many.png")
    out = impasto("inspect", "many.png").out
    assert out.count("k") < 1000 and len(out) < 100_000 and "--json" in out
    assert json.loads(impasto("inspect", "--json", "many.png").out)["recipe"] == many


def test_metadata_beyond_all_measure_are_not_read(impasto: Impasto, folder: Path) -> None:
    Picture(torch.zeros(1, 3, 16, 16), recipe={"content": "x" * provenance.LARGEST}).save("bomb.png")
    answer = impasto("inspect", "bomb.png")
    assert answer.code == 0 and answer.err == "warning: metadata of 8 MB are not read\n"
