"""`impasto train` and `impasto export`, as a person meets them."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from safetensors import safe_open
from safetensors.torch import load_file

from impasto import models
from impasto.cli import sketch
from impasto.data import load
from impasto.models import library
from impasto.training import checkpoint, trainer

Impasto = Callable[..., Any]  # the fixture in conftest.py

SHORT = ("--set", "log_every=5", "--set", "report_every=10", "--set", "precision=float32")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The family `tiny` and the data set `noise`, in an empty folder."""
    place = Path(__file__).parents[1] / "training" / "tiny.py"
    spec = importlib.util.spec_from_file_location("impasto.models.tiny", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "impasto.models.tiny", module)
    monkeypatch.setitem(models.FAMILIES, "tiny", "Tiny")
    spec.loader.exec_module(module)
    monkeypatch.setattr("impasto.data.load", lambda name, split, **_: module.pictures(50 if split == "train" else 9))
    monkeypatch.chdir(tmp_path)
    return module


def test_training_fills_a_run_folder_and_says_where(impasto: Impasto, tiny: ModuleType) -> None:
    assert impasto("train", "tiny", "--data", "noise", *SHORT, "--seed", "3") == (0, "runs/tiny-noise\n", "")
    run = Path("runs/tiny-noise")
    names = {"config.json", "model.safetensors", "state.pt", "metrics.jsonl", "curves.png", "samples", "tensorboard"}
    assert {path.name for path in run.iterdir()} == names
    config = json.loads((run / "config.json").read_text())
    assert (config["preset"], config["training"]["seed"], config["training"]["steps"]) == ("plain", 3, 10)
    assert library.load(run).config.classes == 2


def test_quick_shows_what_was_learnt(impasto: Impasto, tiny: ModuleType) -> None:
    code, out, err = impasto("train", "tiny", "--data", "noise", "--quick", "--steps", "10", *SHORT)
    assert (code, err) == (0, "")
    assert out == sketch.run(Path("runs/tiny-noise")) + "\nruns/tiny-noise\n"
    assert re.search(r"^ *loss  [▁-█]{2}  [0-9.]+ to [0-9.]+$", out, re.MULTILINE)  # a bar for each line of the log
    assert re.search(r"^[⠀-⣿]+$", out, re.MULTILINE)  # and the samples
    config = json.loads(Path("runs/tiny-noise/config.json").read_text())
    assert (config["preset"], config["training"]["batch"], config["limit"]["steps"]) == ("quick", 4, 10)


def test_quick_takes_two_and_a_half_minutes_unless_told(
    impasto: Impasto, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[trainer.Limit] = []
    monkeypatch.setattr(trainer, "train", lambda *_, stop, **__: limits.append(stop) or (x for x in ()))
    impasto("train", "tiny", "--data", "noise", "--quick")
    impasto("train", "tiny", "--data", "noise", "--quick", "--epochs", "1")
    impasto("train", "tiny", "--data", "noise", "--quick", "--set", "steps=3")
    assert limits == [trainer.Limit(minutes=2.5), trainer.Limit(epochs=1), trainer.Limit()]
    assert "leave out --preset wide" in impasto("train", "tiny", "--data", "noise", "--quick", "--preset", "wide").err


@pytest.mark.parametrize("name", models.FAMILIES)
def test_every_family_has_a_quick_preset(name: str) -> None:
    digits = load("glyphs", "test")
    kind = models.family(name)
    for data in (digits, replace(digits, labels=None, class_names=())):  # a folder of pictures has no classes
        config, _ = models.configure(kind, data, "quick")
        if config.classes or name != "cnn":
            kind(config)


def test_a_replay_shows_every_sheet_of_samples(impasto: Impasto, tiny: ModuleType) -> None:
    assert impasto("train", "tiny", "--data", "noise", *SHORT, "--steps", "30").code == 0
    run = Path("runs/tiny-noise")
    code, out, err = impasto("replay", run, "-o", "learning.gif", "--fps", "10")
    assert (code, out, err) == (0, "learning.gif: 3 sheets, to step 30\n", "")
    with Image.open("learning.gif") as film:
        shown = [frame.convert("RGB") for frame in ImageSequence.Iterator(film)]
        assert film.info["duration"] == 100
    for sheet, frame in zip(sorted((run / "samples").iterdir()), shown, strict=False):
        with Image.open(sheet) as there:
            assert np.abs(np.asarray(there.convert("RGB"), int) - np.asarray(frame, int)).mean() < 4
    assert json.loads(impasto("inspect", "learning.gif", "--json").out)["recipe"]["settings"]["step"] == 30


def test_a_replay_of_what_is_no_run_is_said(impasto: Impasto, tiny: ModuleType) -> None:
    Path("empty").mkdir()
    assert "no samples" in impasto("replay", "empty", "-o", "x.gif").err
    Path("empty/samples").mkdir()
    Image.new("RGB", (8, 8)).save("empty/samples/step-000001.png")
    assert "does not say" in impasto("replay", "empty", "-o", "x.gif").err
    Path("empty/samples/step-000001.png").write_bytes(b"none")
    code, _, err = impasto("replay", "empty", "-o", "x.gif")
    assert code == 2 and err.count("\n") == 1 and not Path("x.gif").exists()


def test_the_seed_decides_the_weights(impasto: Impasto, tiny: ModuleType) -> None:
    for run, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert impasto("train", "tiny", "--data", "noise", *SHORT, "--seed", seed, "-o", run).code == 0
    a, b, c = (library.sha256_of(run) for run in "abc")
    assert a == b != c


def test_json_is_a_line_per_record(impasto: Impasto, tiny: ModuleType) -> None:
    out = impasto("train", "tiny", "--data", "noise", *SHORT, "--json", "--epochs", "2").out
    *records, end = map(json.loads, out.splitlines())
    assert records[-1]["step"] == 13 and records[-1]["done"] == 1
    assert set(records[-1]["train"]) == set(records[-1]["validation"]) == {"loss", "rms"}
    assert end == {"output": "runs/tiny-noise", "stopped": False}


@pytest.mark.parametrize(("number", "ended"), [(2, 130), (15, 143), (1, 129)])
def test_a_signal_saves_and_says_what_to_paste_to_go_on(
    impasto: Impasto, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch, number: int, ended: int
) -> None:
    monkeypatch.setattr(trainer, "SHOW_EVERY", 0)
    learn, save = trainer.Learner.learn, checkpoint.save
    run, at = "two  spaces é", ("--data", "noise", "--data-dir", "my data & more", "-o", "two  spaces é")

    def interrupted(self: Any, *words: Any) -> None:
        learn(self, *words)
        if self.step == 4:
            os.kill(os.getpid(), number)

    def saved(folder: Path, config: dict[str, Any], model: Any, state: dict[str, Any]) -> None:
        if state["step"] == 4:  # somebody presses again
            os.kill(os.getpid(), number)
        save(folder, config, model, state)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Learner, "learn", interrupted)
        patch.setattr(checkpoint, "save", saved)
        code, out, err = impasto("train", "tiny", *at, *SHORT, "--steps", "12")
    assert (code, out, err.count("\n")) == (ended, "", 1)
    said, again = err.split("; go on with: ")
    assert said == f"stopped: {run} is at step 4 of 12"
    assert shlex.split(again) == ["impasto", "train", "tiny", *at, "--resume"]
    assert impasto(*shlex.split(again)[1:]) == (0, f"{run}\n", "")  # the limit is remembered
    assert impasto("train", "tiny", "--data", "noise", *SHORT, "--steps", "12", "-o", "whole").code == 0
    assert library.sha256_of(run) == library.sha256_of("whole")
    code, _, err = impasto("train", "tiny", *at, "--resume")
    assert (code, err) == (0, f"{run} is at its end already (--steps 12); to go on, give it more\n")
    assert impasto("train", "tiny", *at, "--resume", "--steps", "15").code == 0
    assert impasto("train", "tiny", *at, "--resume", "--set", "steps=16").code == 0  # not the limit before
    assert torch.load(Path(run) / "state.pt", weights_only=True)["step"] == 16


WRONG = {
    "family": (["tinny", "--data", "noise"], "did you mean tiny"),
    "setting": (["tiny", "--data", "noise", "--set", "wdith=3"], "did you mean width"),
    "setting of the trainer": (["tiny", "--data", "noise", "--set", "rat=3"], "did you mean rate"),
    "value": (["tiny", "--data", "noise", "--set", "width=x"], "width takes int"),
    "no value": (["tiny", "--data", "noise", "--set", "width"], "--set takes"),
    "preset": (["tiny", "--data", "noise", "--preset", "plane"], "did you mean plain"),
    "two limits": (["tiny", "--data", "noise", "--steps", "3", "--minutes", "1"], "give one of"),
    "device": (["tiny", "--data", "noise", "--device", "cuda:77"], "there is no device"),
    "nothing to resume": (["tiny", "--data", "noise", "--resume"], "is no run"),
    "size": (["tiny", "--data", "noise", "--set", "size=9"], "take --size"),
}


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_wrong_words_are_one_line_and_leave_no_folder(
    impasto: Impasto, tiny: ModuleType, words: list[str], said: str
) -> None:
    code, out, err = impasto("train", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not Path("runs").exists()


def test_a_second_training_keeps_off_the_first(impasto: Impasto, tiny: ModuleType) -> None:
    words = ("train", "tiny", "--data", "noise", "-o", "run")
    assert impasto(*words).code == 0
    before = {file: file.read_bytes() for file in Path("run").rglob("*") if file.is_file()}
    for more, said in [
        ((), "not empty"),
        (("--resume", "--set", "width=9"), "begun with width=4"),
        (("--resume", "--preset", "wide"), "begun with the preset plain"),
        (("--resume", "--size", "7"), "begun with size=6"),
        (("--resume", "--seed", "1"), "begun with seed=0"),
        (("--resume", "--steps", "0"), "steps goes from 1"),
        (("--resume", "--set", "steps=9", "--epochs", "1"), "give one of them"),
        (("--data-changed",), "--data-changed is for --resume"),
        (("--resume", "--set", "optimiser=muon", "--steps", "20"), "begun with optimiser=adamw"),
    ]:
        code, _, err = impasto(*words, *more)
        assert (code, err.count("\n")) == (2, 1) and said in err
        assert {file: file.read_bytes() for file in Path("run").rglob("*") if file.is_file()} == before


def test_training_may_begin_with_the_weights_of_another(impasto: Impasto, tiny: ModuleType) -> None:
    train = ("train", "tiny", "--data", "noise", *SHORT)
    assert impasto(*train, "--set", "width=5", "-o", "first").code == 0
    words = (*train, "--from", "first", "-o", "second")
    assert impasto(*words, "--steps", "1", "--set", "rate=0").code == 0  # nothing is learnt
    (_, before), (config, after) = (checkpoint.load(Path(run)) for run in ("first", "second"))
    assert config["config"]["width"] == 5
    assert all(torch.equal(before[name], after[name]) for name in before if "weight" in name)
    for more, said in [
        (("--set", "width=6"), "first is another model"),
        (("--from", "nowhere"), "nowhere is no run folder"),
        (("--from", "mnist-cnn"), "mnist-cnn is of the family cnn, not tiny"),
        (("--resume",), "leave out --from"),
    ]:
        code, out, err = impasto(*words[:-1], "third", *more)
        assert (code, out, err.count("\n")) == (2, "", 1) and said in err
        assert not Path("third").exists()


def test_the_help_names_every_family(impasto: Impasto) -> None:
    text = " ".join(impasto("train", "--help").out.replace("│", " ").split())
    assert all(name in text for name in models.FAMILIES)


@pytest.fixture
def run(impasto: Impasto, tiny: ModuleType) -> str:
    assert impasto("train", "tiny", "--data", "noise", *SHORT, "-o", "run").code == 0
    return "run"


def test_exported_weights_say_what_they_are(impasto: Impasto, run: str) -> None:
    assert impasto("export", run, "--safetensors", "tiny.safetensors", "--half") == (0, "tiny.safetensors\n", "")
    with safe_open("tiny.safetensors", "pt") as file:
        assert json.loads(file.metadata()["config"])["family"] == "tiny"
        weight = file.get_tensor("first.weight")
    assert weight.dtype == torch.float16
    torch.testing.assert_close(weight.float(), library.load(run).first.weight.detach(), rtol=1e-3, atol=1e-4)


def test_an_exported_network_computes_the_same(impasto: Impasto, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = pytest.importorskip("onnxruntime")
    code, _, err = impasto("export", run, "--onnx", "tiny.onnx")
    assert code == 2 and "no network to export" in err

    def onnx_module(self: Any) -> Any:
        return self, (torch.rand(2, 1, 6, 6),), ["pictures"], ["restored"]

    monkeypatch.setattr(models.family("tiny"), "onnx_module", onnx_module, raising=False)
    assert impasto("export", run, "--onnx", "tiny.onnx")[:2] == (0, "tiny.onnx\n")
    session = runtime.InferenceSession("tiny.onnx")
    pictures = torch.rand(5, 1, 6, 6)  # another number than the example's
    [restored] = session.run(["restored"], {"pictures": pictures.numpy()})
    np.testing.assert_allclose(restored, library.load(run)(pictures).detach().numpy(), atol=1e-5)


def test_onnx_without_its_packages_is_one_line(impasto: Impasto, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.family("tiny"), "onnx_module", lambda self: None, raising=False)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, _, err = impasto("export", run, "--onnx", "tiny.onnx")
    assert (code, err.count("\n")) == (2, 1) and "impasto[onnx]" in err


@pytest.mark.parametrize("words", [[], ["--safetensors", "a", "--onnx", "b"], ["--onnx", "b", "--half"]], ids=str)
def test_export_wants_one_kind_of_file(impasto: Impasto, words: list[str]) -> None:
    code, _, err = impasto("export", "run", *words)
    assert (code, err.count("\n")) == (2, 1)


def test_export_to_nowhere_is_one_line(impasto: Impasto, run: str) -> None:
    code, _, err = impasto("export", run, "--safetensors", "no/such/folder.safetensors")
    assert (code, err.count("\n")) == (2, 1)


def test_torchrun_trains_one_model_with_two_processes(tmp_path: Path) -> None:
    for index in range(40):
        noise = np.random.default_rng(index).integers(0, 256, (28, 28), np.uint8)
        (tmp_path / "pictures" / "ab"[index % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(tmp_path / "pictures" / "ab"[index % 2] / f"{index}.png")
    words = [
        "--nproc-per-node",
        "2",
        "-m",
        "impasto",
        "train",
        "vae",
        "--data",
        "folder:pictures?size=28&channels=1",
        "--steps",
        "3",
        "--device",
        "cpu",
        "--set",
        "width=16",
        "--set",
        "batch=4",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words, "-o", "run"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (ran.returncode, ran.stdout) == (0, "run\n"), ran.stderr  # one of the two speaks


def test_any_style_learns_from_two_folders(impasto: Impasto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for folder in ("photos", "paintings"):
        Path(folder).mkdir()
        for number in range(3):
            Image.fromarray(draw.integers(0, 255, (130, 140, 3), dtype=np.uint8)).save(f"{folder}/{number}.png")
    words = ("anystyle", "--contents", "photos", "--styles", "paintings", "--size", "128", "-o", "run",
             "--set", "widths=8,8,8,8", "--set", "batch=2", "--set", "report_every=2")  # fmt: skip
    assert impasto("train", *words, "--steps", "1") == (0, "run\n", "")
    assert impasto("train", *words[:5], "-o", "run", "--resume", "--steps", "2") == (0, "run\n", "")
    config = json.loads(Path("run/config.json").read_text())
    assert config["family"] == "anystyle" and config["data"]["name"] == "photos x paintings"
    assert (Path("run/samples") / "step-000002.png").is_file()
    assert load_file("run/model.safetensors")["scale_0"].min() > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["anystyle"], "two folders: impasto train anystyle --contents DIR --styles DIR"),
        (["anystyle", "--data", "mnist"], "two folders"),
        (["anystyle", "--contents", "nowhere", "--styles", "nowhere"], "there is no folder nowhere"),
        (["vae"], "name the data: impasto train vae --data NAME"),
        (["vae", "--data", "mnist", "--styles", "x"], "name the data"),
    ],
)
def test_what_a_family_learns_from_must_be_said(impasto: Impasto, words: list[str], said: str) -> None:
    code, out, err = impasto("train", *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err


def test_the_size_of_the_pictures_can_be_said(
    impasto: Impasto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("signs").mkdir()
    for i in range(9):
        Image.fromarray(np.full((12, 12, 3), 20 * i, np.uint8)).save(f"signs/{i}.png")
    words = (
        "train",
        "vae",
        "--data",
        "folder:signs",
        "--size",
        "8",
        "--steps",
        "1",
        "--set",
        "width=4",
        "--set",
        "batch=2",
    )
    assert impasto(*words, "-o", "run") == (0, "run\n", "")
    assert library.load("run").config.size == 8


@pytest.mark.parametrize("colour", [False, True])
def test_a_bundled_model_of_digits_goes_on_with_a_folder_of_signs(
    impasto: Impasto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colour: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for i in range(40):
        file = tmp_path / "runes" / str(i % 10) / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (30, 30, 3) if colour else (30, 30), np.uint8)).save(file)
    words = ("train", "gan", "--data", "folder:runes", "--from", "mnist-gan", "--steps", "1", "--set", "batch=4")
    assert impasto(*words, "-o", "run").code == 0
    made = library.load("run").config
    assert (made.channels, made.size, made.classes) == (1, 28, 10)
