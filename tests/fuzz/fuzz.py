"""As a script: `fuzz.py COUNT [SEED]` gives so many damaged files to commands that read them, and says what it found.

Right is an exit code that the command line knows and no more than lines on standard error: no traceback, no signal, at
most 20 s of CPU and 2 GB. What was wrong stays in the folder `fuzz-found`, with the command. Each try is a fork of this
process, which imports everything once and computes nothing itself: a fork has none of the threads that libraries keep,
and would wait for them. The file of a number is always the same.
"""

import contextlib
import faulthandler
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av  # noqa: F401  # with all below: imported here, not in each fork
import numpy as np
import torch
import torch._dynamo
from PIL import Image

from impasto.__main__ import main as impasto
from impasto.bundled import STYLES
from impasto.media import clip, lut, picture, sound
from impasto.media.inspect import inspect
from impasto.models import library, vae  # noqa: F401
from impasto.provenance import make_recipe
from impasto.style import grade, music, source, stylize, texture, video  # noqa: F401
from impasto.training import trainer  # noqa: F401

sys.path.insert(0, str(Path(__file__).parent))
import mutate

SECONDS, MEMORY = 20, 2_000_000_000
CODES = {0, 2, 3}  # done; one line says why not; some of many failed
PICTURES = ("png", "jpg", "webp", "tif", "gif", "bmp", "ppm", "tga", "jp2", "jxl", "avif")
SMALL = ("--quality", "draft", "--size", "32")
TRAIN = ("train", "vae", "--data")
DATA = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "cifar10.npz")
Words = list[str | Path]


def seeds(folder: Path) -> None:
    """Sound files of every kind."""
    dice = np.random.default_rng(0)
    noise = dice.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((32, 32), Image.Resampling.BICUBIC)
    for kind in PICTURES:
        with contextlib.suppress(Exception):  # Pillow may be without it
            image.save(folder / f"a.{kind}")
    shown = picture.read(folder / "a.png")
    recipe = make_recipe({"name": "a.png", "sha256": "0"}, [], {"size": 32, "quality": "draft"}, {})
    picture.Picture(shown.pixels, torch.ones(1, 1, 32, 32), recipe).save(folder / "deep.png", bits=16)
    for kind in ("mp4", "webm", "mov", "mkv", "gif"):
        info = clip.Info(32, 32, Fraction(10))
        with clip.write(folder / f"c.{kind}", info, recipe=recipe) as out:
            for i in range(3):
                out.add(shown.pixels.roll(i, 3), i / 10)
    wave = torch.sin(torch.arange(4000) / 20)[None] / 2
    for kind in ("wav", "flac", "ogg", "mp3", "m4a"):
        sound.Sound(wave, 16_000, recipe).save(folder / f"s.{kind}")
    source.save(shown, folder / "a.style")
    lut.Lut(lut.identity(4)).save(folder / "look.cube")
    for split in ("train", "t10k"):
        for name, shape in (("images-idx3", (60, 28, 28)), ("labels-idx1", (60,))):
            data = dice.integers(0, 10, shape, dtype=np.uint8)
            head = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4) for n in shape)
            (folder / f"{split}-{name}-ubyte").write_bytes(head + data.tobytes())
    image.save(folder / "a.jpg")
    jpeg = (folder / "a.jpg").read_bytes()
    arrays = {
        "jpeg": np.frombuffer(jpeg * 20, np.uint8),
        "offsets": np.arange(21) * len(jpeg),
        "labels": np.arange(20) % 10,
    }
    np.savez(folder / "cifar10.npz", **{f"{split}_{k}": v for split in ("train", "test") for k, v in arrays.items()})
    (folder / "tasks.csv").write_text("content,styles,output,size\na.png,swirl,b.png,32\na.jpg,wave,c.png,32\n")
    for i in range(4):
        (folder / "pictures").mkdir(exist_ok=True)
        image.rotate(90 * i).resize((8, 8)).save(folder / "pictures" / f"{i}.png")


def made_by_commands(folder: Path) -> None:
    """A painted picture's recipe and a run, of what `seeds` left in `folder`."""
    data = f"folder:{folder / 'pictures'}?size=8"
    for words in (
        ("style", folder / "a.png", "swirl", "-o", folder / "painted.png", *SMALL),
        (*TRAIN, data, "--steps", "2", "--set", "batch=2", "-o", folder / "run"),
    ):
        made = command(*words)
        assert made.code == 0, made.said
    (folder / "recipe.json").write_text(json.dumps(inspect(folder / "painted.png")["recipe"]))


def command(*words: str | Path) -> SimpleNamespace:
    """A command line in a fork."""

    def run() -> None:
        sys.argv = ["impasto", *map(str, words)]
        impasto()

    return forked(run)


def forked(work: Callable[[], None]) -> SimpleNamespace:
    """Work in a fork: its exit code (negative: the signal), what it said, seconds of CPU, most bytes held."""
    with tempfile.TemporaryFile() as said:
        if not (child := os.fork()):
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))  # which ends the process
            signal.alarm(10 * SECONDS)  # and so does this, if it sleeps; the machine may be busy with others
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            null = os.open(os.devnull, os.O_RDWR)
            for number, file in ((0, null), (1, null), (2, said.fileno())):
                os.dup2(file, number)
            code = 1
            faulthandler.dump_traceback_later(9 * SECONDS)  # if it sleeps, where
            try:
                torch.set_num_threads(1)
                work()
                code = 0
            except SystemExit as ending:
                code = ending.code if isinstance(ending.code, int) else 0
            except BaseException:
                import traceback

                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
        _, status, used = os.wait4(child, 0)
        said.seek(0)
        text = said.read().decode(errors="replace")
    return SimpleNamespace(code=os.waitstatus_to_exitcode(status), said=text, seconds=used.ru_utime + used.ru_stime,
                           memory=used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))  # fmt: skip


def try_of(number: int, seed: int, kept: Path, place: Path) -> Words:
    """The command of try `number` on a damaged file, which is put into `place`."""
    dice = random.Random(f"{seed} {number}")

    def put(name: str, as_name: str | None = None) -> Path:
        target = place / (as_name or name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(mutate.mutated((kept / name).read_bytes(), name, dice))
        return target

    def some(pattern: str) -> str:
        return dice.choice(sorted(file.name for file in kept.glob(pattern)))

    def of_pictures() -> Words:
        file = put(some("*.*") if dice.random() < 0.05 else dice.choice([some("a.*[!e]"), "deep.png"]))
        one, other = dice.choice([(file, kept / "a.png"), (kept / "a.png", file)])
        return dice.choice([["inspect", file], ["style", one, other, "-o", place / "out.png", *SMALL]])

    def of_clips() -> Words:
        file = put(some("c.*"))
        return dice.choice([["inspect", file], ["video", file, "swirl", "-o", place / "out.mp4", "--size", "32"]])

    def of_sounds() -> Words:
        file = put(some("s.*"))
        return dice.choice([["inspect", file], ["music", file, kept / "s.wav", "-o", place / "o.wav", "--steps", "1"]])

    def of_styles() -> Words:
        file = put("a.style")
        words: Words = ["style", kept / "a.png", file, "-o", place / "out.png", *SMALL]
        return dice.choice([["inspect", file], words])

    def of_looks() -> Words:
        return ["grade", kept / "a.png", "--apply", put("look.cube"), "-o", place / "out.png"]

    def of_runs() -> Words:
        shutil.copytree(kept / "run", place / "run")
        name = dice.choice(["config.json", "config.json", "model.safetensors", "state.pt", "metrics.jsonl"])
        put(f"run/{name}")
        resumed: Words = [*TRAIN, f"folder:{kept / 'pictures'}?size=8", "--resume", "--steps", "3", "-o", place / "run"]
        return dice.choice([["sample", place / "run", "-n", "1", "-o", place / "o.png"], resumed])

    def of_data() -> Words:
        name = dice.choice(DATA)
        for file in (*kept.glob("*-ubyte"), kept / "cifar10.npz"):
            shutil.copy(file, place)
        put(name)
        data = "cifar10" if name.endswith("npz") else "mnist"
        model: Words = ["train", "cnn", "--set", "network=classic", "--set", "batch=4", "--data", data]
        return [*model, "--data-dir", place, "--steps", "1", "-o", place / "run"]

    def of_recipes() -> Words:
        if dice.random() < 0.3:
            shutil.copy(kept / "a.png", place)
            shutil.copy(kept / "a.jpg", place)
            return ["batch", put("tasks.csv"), "-o", place / "out", "--processes", "1"]
        made = mutate.recipe((kept / "recipe.json").read_text(), dice)
        file = place / "r.png"
        with contextlib.suppress(ValueError):  # NaN is no JSON
            picture.Picture(torch.zeros(1, 3, 16, 16), recipe=made).save(file)
        words: Words = ["style", kept / "a.png", STYLES["swirl"], "--recipe", file, "-o", place / "out.png"]
        return dice.choice([["inspect", file], ["inspect", "--json", file], words])

    kinds: tuple[Callable[[], Words], ...] = (
        of_pictures, of_pictures, of_clips, of_sounds, of_styles, of_looks, of_runs, of_data, of_recipes,
    )  # fmt: skip
    return kinds[number % len(kinds)]()


def fault(done: SimpleNamespace) -> str | None:
    """What is wrong with how a command ended, if something is."""
    if done.code in (-signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL):
        return f"more than {SECONDS} s {done.said[-1500:]}"
    if "Traceback" in done.said or done.code not in CODES:
        return f"code {done.code}: {done.said[-600:]}"
    if done.code == 2 and not done.said.strip():
        return "no word of why"
    if done.memory > MEMORY:
        return f"{done.memory / 1e9:.1f} GB"
    return None


def main(count: int, seed: int = 0) -> None:
    faults, slowest, largest = 0, 0.0, 0
    with tempfile.TemporaryDirectory() as kept:
        made = forked(lambda: seeds(Path(kept)))
        assert made.code == 0, made.said
        made_by_commands(Path(kept))
        for number in range(count):
            with tempfile.TemporaryDirectory() as place:
                words = try_of(number, seed, Path(kept), Path(place))
                done = command(*words)
                slowest, largest = max(slowest, done.seconds), max(largest, done.memory)
                if wrong := fault(done):
                    faults += 1
                    shutil.copytree(place, f"fuzz-found/{seed}-{number}", dirs_exist_ok=True)
                    print(f"{number}: {' '.join(map(str, words))}\n   {wrong}", flush=True)
    print(f"{count} files, {faults} faults, at most {slowest:.1f} s and {largest / 1e9:.2f} GB")
    sys.exit(faults > 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
