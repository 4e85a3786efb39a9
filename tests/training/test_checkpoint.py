"""Run folders from a stranger, from a full disk, and from a process that was killed; and models made from them."""

import json
import os
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from impasto import models
from impasto.errors import ModelError, SettingsError
from impasto.models import library
from impasto.training import checkpoint
from impasto.training.trainer import train


@pytest.fixture
def run(family: ModuleType, tmp_path: Path) -> Path:
    """A run, stopped at its first record."""
    progress = train(family.tiny(), family.pictures(), None, family.SETTINGS, tmp_path / "run")
    next(progress)
    progress.close()  # type: ignore[attr-defined]
    return tmp_path / "run"


def test_a_model_is_what_its_folder_says(run: Path, family: ModuleType) -> None:
    model = library.load(run)
    assert isinstance(model, family.Tiny) and not model.training
    assert model.config == family.TinyConfig(size=6)
    for name, weight in load_file(run / "model.safetensors").items():
        assert torch.equal(model.state_dict()[name], weight)


def test_half_precision_is_read_as_float32(run: Path) -> None:
    weights = load_file(run / "model.safetensors")
    save_file({k: v.half() if v.is_floating_point() else v for k, v in weights.items()}, run / "model.safetensors")
    model = library.load(run)
    assert model.first.weight.dtype == torch.float32
    torch.testing.assert_close(model.first.weight.detach(), weights["first.weight"], rtol=1e-3, atol=1e-4)


def test_a_bundled_model_goes_by_its_name(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    run.rename(tmp_path / "models" / "mnist-tiny")
    monkeypatch.setattr("impasto.bundled.ASSETS", tmp_path)
    library.load("mnist-tiny")
    assert len(library.sha256_of("mnist-tiny")) == 64
    with pytest.raises(ModelError, match="those are mnist-tiny"):
        library.load("mnist-tinny")


def described(**changes: Any) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps(config | changes))

    return change


def weighed(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def rewrite(run: Path) -> None:
        weights = load_file(run / "model.safetensors")
        change(weights)
        save_file(weights, run / "model.safetensors")

    return rewrite


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda run: os.truncate(run / name, size)


def written(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda run: (run / name).write_bytes(data) and None


HOSTILE: dict[str, Callable[[Path], None]] = {
    "no config": lambda run: [(run / name).unlink() for name in ("config.json", "state.pt")] and None,
    "no weights": lambda run: (run / "model.safetensors").unlink(),
    "config cut": cut("config.json", 40),
    "config is a list": written("config.json", b"[1]"),
    "config is deep": written("config.json", b"[" * 100_000),
    "config is bytes": written("config.json", b"\xff\xfe\0"),
    "weights cut": cut("model.safetensors", 300),
    "weights empty": cut("model.safetensors", 0),
    "weights are a pickle": written("model.safetensors", pickle.dumps({"a": 1})),
    "header without end": written("model.safetensors", b"\xff" * 64),
    "no such family": described(family="tinny"),
    "family is a list": described(family=["tiny"]),
    "family is a module": described(family="os"),
    "unknown setting": described(config={"shell": "rm"}),
    "setting of another type": described(config={"width": [1]}),
    "senseless setting": described(config={"width": -1}),
    "settings are a list": described(config=[1]),
    "other width": described(config={"width": 9}),
    "missing key": weighed(lambda weights: weights.pop("first.bias")),
    "further key": weighed(lambda weights: weights.update(extra=torch.ones(1))),
    "other shape": weighed(lambda weights: weights.update({"first.bias": torch.ones(3)})),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_damaged_or_hostile_model_is_one_line(run: Path, change: Callable[[Path], None]) -> None:
    change(run)
    with pytest.raises(ModelError) as caught:
        library.load(run)
    assert len(str(caught.value)) < 400


class Bomb:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


class Strange(pickle.Pickler):
    """Says of every list that it is a tensor's storage, and not of what type."""

    def persistent_id(self, thing: Any) -> Any:
        return ("storage", ("float",), "0", "cpu", 1) if isinstance(thing, list) else None


@pytest.mark.parametrize("kind", ["zip", "pickle", "cut", "empty", "strange", "other", "number"])
def test_a_damaged_or_hostile_state_never_runs(run: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.chdir(run.parent)
    state = run / "state.pt"
    if kind == "zip":
        torch.save({"step": Bomb()}, state)
    elif kind == "pickle":
        state.write_bytes(pickle.dumps(Bomb()))
    elif kind == "cut":
        os.truncate(state, state.stat().st_size // 2)
    elif kind == "empty":
        os.truncate(state, 0)
    elif kind == "strange":
        with zipfile.ZipFile(state, "w") as file:
            with file.open("a/data.pkl", "w") as pickled:
                Strange(pickled, 2).dump({"step": []})
            file.writestr("a/version", "3")
    else:
        torch.save({"step": 1} if kind == "other" else 3, state)
    with pytest.raises(ModelError, match=r"state\.pt is"):
        checkpoint.read_state(run)
    assert not Path("exploded").exists()


def test_a_full_disk_leaves_the_last_checkpoint(run: Path, family: ModuleType) -> None:
    before = {name: (run / name).read_bytes() for name in ("state.pt", "model.safetensors")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # bytes of one file
    try:
        with pytest.raises(ModelError, match=r"cannot be written \(File too large\)"):  # not torch's words
            checkpoint.save(run, {}, family.tiny(), {"big": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert before == {name: (run / name).read_bytes() for name in before}
    assert not list(run.glob(".impasto-*"))


def test_a_family_may_add_files_for_other_tools(run: Path, family: ModuleType) -> None:
    model = family.tiny()
    model.extra_files = lambda folder: (folder / "model_index.json").write_text("{}")
    checkpoint.save(run, {}, model, {})
    assert (run / "model_index.json").read_text() == "{}"


def test_settings_are_those_of_preset_then_of_the_user(family: ModuleType) -> None:
    config, training = models.configure(family.Tiny, family.pictures(), None, {"width": "7", "rate": "0.5"})
    assert (config.channels, config.size, config.classes, config.width) == (1, 6, 2, 7)
    assert (training.batch, training.steps, training.rate) == (8, 10, 0.5)
    assert models.configure(family.Tiny, family.pictures(), "wide")[0].width == 6
    for preset, values, near in [("wid", {}, "wide"), (None, {"wdith": 1}, "width"), (None, {"batsh": 1}, "batch")]:
        with pytest.raises(SettingsError, match=f"did you mean {near}"):
            models.configure(family.Tiny, family.pictures(), preset, values)
